-- Asks prepared requests by turns, and in the end prints what came of it as a line of JSON.
--
--   CONNECTIONS=8 wrk -t 1 -c 8 -d 2s -s bench/wrk.lua http://127.0.0.1:8000 -- REQUESTS RUN
--
-- REQUESTS is a file of whole HTTP requests, each after a line with its length in bytes. Where one
-- has PLACE in it, there stands each time a number that no other had: RUN's, and its own.

local PLACE = string.rep("#", 12)

function init(args)
  requests, run, turn, count = {}, tonumber(args[2]), 0, 0
  local file = assert(io.open(args[1], "rb"))
  local length = file:read("*n")
  while length do
    file:read(1) -- The line's end.
    requests[#requests + 1] = parts(file:read(length))
    length = file:read("*n")
  end
  file:close()
end

-- What stands before the place and after it; all of the request where there is none.
function parts(whole)
  local from, to = string.find(whole, PLACE, 1, true)
  if from == nil then return {whole} end
  return {string.sub(whole, 1, from - 1), string.sub(whole, to + 1)}
end

function request()
  turn = turn % #requests + 1
  local before, after = requests[turn][1], requests[turn][2]
  if after == nil then return before end
  count = count + 1
  return before .. string.format("%04d%08d", run, count) .. after
end

-- How long the requests took, in microseconds: how many took so long, by time.
--
-- Before it calls done(), wrk adds times to those that it measured: for each that took more than
-- twice the mean, those of requests that somebody else might have sent meanwhile. Here each
-- connection asks again once it is answered, and nobody else is there, so they are taken out: from
-- the longest time to the shortest, since what was added for a time is shorter than it.
local function measured(summary, latency, connections)
  local counts, times = {}, {}
  for place = 1, #latency do
    local time, count = latency(place)
    counts[time], times[place] = count, time
  end
  local expected = math.floor(summary.duration / math.floor(summary.requests / connections))
  for place = #times, 1, -1 do
    local time = times[place]
    if time >= 2 * expected and counts[time] > 0 then
      for added = time - expected, expected + 1, -expected do
        counts[added] = counts[added] - counts[time]
      end
    end
  end
  return counts, times
end

local function percentile(counts, times, total, share)
  local left = math.max(math.ceil(total * share / 100), 1)
  for _, time in ipairs(times) do
    left = left - counts[time]
    if left <= 0 then return time end
  end
  return 0
end

function done(summary, latency)
  local connections = tonumber(os.getenv("CONNECTIONS"))
  local p50, p99 = latency:percentile(50), latency:percentile(99)
  if summary.requests >= connections then
    local counts, times = measured(summary, latency, connections)
    local total = 0
    for _, time in ipairs(times) do total = total + counts[time] end
    -- Another wrk may count otherwise; then its own percentiles are taken.
    if total == summary.requests then
      p50 = percentile(counts, times, total, 50)
      p99 = percentile(counts, times, total, 99)
    end
  end
  local errors = summary.errors
  io.write(string.format(
    '{"answers": %d, "bytes": %d, "microseconds": %d, "p50": %d, "p99": %d,'
      .. ' "failed": %d, "not_ok": %d}\n',
    summary.requests, summary.bytes, summary.duration, p50, p99,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
