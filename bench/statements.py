"""The statements of the hand-written endpoint: each returns the response's whole JSON as text.

Written to be as fast as the tables allow, with the knowledge that the currency has two decimals,
that a client has some dozens of ledger rows, and which fields are selected. Rows are sorted and cut
before related rows are looked up.
"""

# $1 the token's hash, $2 the time.
VIEWER = """
SELECT t.kind, t.practice_id, t.client_id, t.scopes, p.currency, p.time_zone
FROM token t JOIN practice p ON p.id = t.practice_id
WHERE t.hash = $1 AND t.revoked_at IS NULL AND t.expires_at > $2
  AND (NOT t.is_sign_in OR t.last_used_at > $2 - interval '15 minutes')
"""

# $1 the practice, $2 the client, $3 today, $4 the first day of the history, $5 the lists' size,
# $6 the currency.
BILLING = """
WITH ledger AS MATERIALIZED (
    SELECT kind, amount_minor, invoice_id, payment_id
    FROM ledger_entry WHERE practice_id = $1 AND client_id = $2
), billed AS MATERIALIZED (
    SELECT invoice_id, sum(amount_minor)::bigint AS minor
    FROM ledger WHERE invoice_id IS NOT NULL GROUP BY invoice_id
), paid AS MATERIALIZED (
    SELECT invoice_id, sum(amount_minor)::bigint AS minor
    FROM allocation WHERE practice_id = $1 AND client_id = $2 GROUP BY invoice_id
), sums AS MATERIALIZED (
    SELECT coalesce(sum(amount_minor), 0)::bigint AS balance,
        coalesce(sum(amount_minor) FILTER (WHERE invoice_id IS NULL), 0)::bigint AS pool,
        coalesce(sum(amount_minor) FILTER (WHERE kind IN ('SESSION', 'CHARGE')), 0)::bigint
            AS invoiced,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'REFUND'), 0)::bigint AS refunded,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'DISPUTE'), 0)::bigint AS taken_back,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'WRITE_OFF'), 0)::bigint AS written_off,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'ADJUSTMENT'), 0)::bigint AS adjusted,
        (SELECT coalesce(sum(minor), 0)::bigint FROM paid) AS allocated,
        (SELECT coalesce(sum(b.minor - coalesce(a.minor, 0)), 0)::bigint
            FROM billed b LEFT JOIN paid a USING (invoice_id) WHERE invoice_id IN (
                SELECT t.invoice_id FROM dispute d
                JOIN allocation t ON t.practice_id = $1 AND t.dispute_id = d.id
                WHERE d.practice_id = $1 AND d.client_id = $2 AND d.state = 'OPEN'
                GROUP BY t.invoice_id HAVING sum(t.amount_minor) < 0
            )) AS disputed
    FROM ledger
), account AS MATERIALIZED (
    SELECT *, greatest(balance - pool - allocated - disputed - greatest(-pool - allocated, 0), 0)
        AS payable
    FROM sums
)
SELECT '{"data":{"client":{"id":"cli_' || c.id || '","name":' || to_json(c.name)
    || ',"balance":{"amount":{"amount":"' || balance * 0.01 || '","currency":"' || $6::text
    || '"},"payable":{"amount":"' || payable * 0.01
    || '"},"terms":[{"kind":"INVOICED","amount":{"amount":"' || invoiced * 0.01
    || '"}},{"kind":"PAID","amount":{"amount":"' || -(allocated + refunded + taken_back) * 0.01
    || '"}},{"kind":"UNALLOCATED_CREDIT","amount":{"amount":"' || (pool + allocated) * 0.01
    || '"}},{"kind":"REFUNDED","amount":{"amount":"' || refunded * 0.01
    || '"}},{"kind":"DISPUTED","amount":{"amount":"' || taken_back * 0.01
    || '"}},{"kind":"WRITTEN_OFF","amount":{"amount":"' || written_off * 0.01
    || '"}},{"kind":"ADJUSTED","amount":{"amount":"' || adjusted * 0.01
    || '"}}]},"canPay":{"isAllowed":' || coalesce('false,"reason":"' || CASE
        WHEN p.stripe_account IS NULL THEN 'ONLINE_PAYMENTS_OFF'
        WHEN EXISTS (SELECT FROM payment WHERE practice_id = $1 AND client_id = $2
            AND state IN ('CREATED', 'CONFIRMING', 'REQUIRES_ACTION', 'PROCESSING'))
            THEN 'PAYMENT_IN_PROGRESS'
        WHEN balance - pool - allocated <= disputed THEN 'NOTHING_TO_PAY'
        WHEN payable BETWEEN 1 AND 49 THEN 'AMOUNT_TOO_SMALL' END || '"',
        'true,"reason":null')
    || '},"invoices":{"nodes":[' || (
        SELECT coalesce(string_agg(item, ',') FILTER (WHERE n <= $5), '')
            || '],"pageInfo":{"hasNextPage":' || (count(*) > $5)
        FROM (
            SELECT row_number() OVER (ORDER BY issued_on DESC, serial DESC) AS n,
                '{"id":"inv_' || id || '","number":' || to_json(number)
                || ',"issuedOn":"' || issued_on || '","dueOn":'
                || coalesce('"' || due_on || '"', 'null') || ',"status":"' || CASE
                    WHEN is_void THEN 'VOID'
                    WHEN billed <= paid THEN 'PAID'
                    WHEN paid > 0 THEN 'PARTIALLY_PAID' ELSE 'UNPAID' END
                || '","isPastDue":' || (coalesce(due_on < $3, false) AND NOT is_void
                    AND billed > paid)
                || ',"total":{"amount":"' || total_minor * 0.01 || '","currency":"' || $6::text
                || '"},"amountDue":{"amount":"' || (billed - paid) * 0.01 || '"}}' AS item
            FROM (
                SELECT *,
                    coalesce((SELECT minor FROM billed WHERE invoice_id = invoice.id), 0) AS billed,
                    coalesce((SELECT minor FROM paid WHERE invoice_id = invoice.id), 0) AS paid
                FROM invoice
                WHERE practice_id = $1 AND client_id = $2 AND shared_at IS NOT NULL
                ORDER BY issued_on DESC, serial DESC LIMIT $5 + 1
            ) i
            ORDER BY issued_on DESC, serial DESC
        ) invoices
    ) || '}},"statements":{"nodes":[' || (
        SELECT coalesce(string_agg(item, ','), '') FROM (
            SELECT '{"id":"stm_' || id || '","number":' || to_json(number)
                || ',"periodStart":"' || period_start || '","periodEnd":"' || period_end
                || '","endingBalance":{"amount":"' || ending_minor * 0.01 || '"}}' AS item
            FROM statement
            WHERE practice_id = $1 AND client_id = $2 AND shared_at IS NOT NULL
            ORDER BY issued_on DESC, serial DESC LIMIT $5
        ) statements
    ) || ']},"superbills":{"nodes":[' || (
        SELECT coalesce(string_agg(item, ','), '') FROM (
            SELECT '{"id":"sbl_' || s.id || '","number":' || to_json(number)
                || ',"periodStart":"' || period_start || '","periodEnd":"' || period_end
                || '","totalFee":{"amount":"' || coalesce(fee, 0) * 0.01 || '"}}' AS item
            FROM superbill s, LATERAL (
                SELECT sum(fee_minor)::bigint AS fee FROM superbill_line
                WHERE practice_id = $1 AND superbill_id = s.id
            ) lines
            WHERE practice_id = $1 AND client_id = $2 AND shared_at IS NOT NULL
            ORDER BY issued_on DESC, serial DESC LIMIT $5
        ) superbills
    ) || ']},"accountHistory":{"nodes":[' || (
        SELECT coalesce(string_agg(item, ',') FILTER (WHERE n <= 20), '')
            || '],"pageInfo":{"hasNextPage":' || (count(*) > 20) || ',"endCursor":'
            || coalesce('"' || encode(convert_to(
                substr(max((1000 + n) || cursor) FILTER (WHERE n <= 20), 5), 'UTF8'), 'hex') || '"',
                'null')
        FROM (
            SELECT n, 'history~' || date || '~' || h.id AS cursor,
                '{"id":"aht_' || h.id || '","date":"' || date || '","kind":"' || kind
                || '","description":' || to_json(description) || ',"status":' || coalesce('"' ||
                coalesce(status, CASE
                    WHEN kind IN ('SESSION', 'CHARGE') THEN CASE
                        WHEN (SELECT is_void FROM invoice i
                            WHERE i.practice_id = $1 AND i.id = h.invoice_id) THEN NULL
                        WHEN coalesce((SELECT minor FROM billed b
                                WHERE b.invoice_id = h.invoice_id), 0)
                            <= coalesce((SELECT minor FROM paid a
                                WHERE a.invoice_id = h.invoice_id), 0) THEN 'PAID'
                        WHEN (SELECT minor FROM paid a WHERE a.invoice_id = h.invoice_id) > 0
                            THEN 'PARTIALLY_PAID' ELSE 'UNPAID' END
                    WHEN kind = 'PAYMENT' THEN coalesce((
                        SELECT CASE WHEN bool_or(state = 'OPEN') THEN 'DISPUTED'
                            ELSE 'CHARGED_BACK' END
                        FROM dispute d WHERE d.practice_id = $1 AND d.payment_id = h.payment_id
                            AND state <> 'WON' GROUP BY d.payment_id
                    ), CASE
                        WHEN (SELECT coalesce(sum(r.amount_minor), 0) FROM ledger r
                            WHERE r.payment_id = h.payment_id AND r.kind = 'REFUND')
                            >= -amount_minor THEN 'REFUNDED' ELSE 'PAID' END) END) || '"', 'null')
                || ',"amount":{"amount":"' || shown_minor * 0.01 || '"},"balanceAfter":{"amount":"'
                || (balance - newer) * 0.01 || '"}}' AS item
            FROM (
                SELECT *, row_number() OVER newest AS n,
                    (sum(amount_minor) OVER newest)::bigint - amount_minor AS newer
                FROM (
                    (SELECT id, posted_on AS date, kind, description, amount_minor,
                        amount_minor AS shown_minor, invoice_id, payment_id, NULL AS status
                    FROM ledger_entry WHERE practice_id = $1 AND client_id = $2 AND posted_on >= $4
                    ORDER BY posted_on DESC, id DESC LIMIT 21)
                    UNION ALL
                    (SELECT id, date, 'SESSION', description, 0, fee_minor, NULL, NULL, 'UNINVOICED'
                    FROM session s WHERE practice_id = $1 AND client_id = $2 AND date >= $4
                    AND NOT EXISTS (SELECT FROM invoice_line l WHERE l.practice_id = $1
                        AND l.session_id = s.id AND NOT l.is_void)
                    ORDER BY date DESC, id DESC LIMIT 21)
                    UNION ALL
                    (SELECT id, created_on, 'PAYMENT', 'Payment', 0, -amount_minor, NULL, NULL,
                        CASE state WHEN 'FAILED' THEN 'FAILED' ELSE 'PENDING' END
                    FROM payment WHERE practice_id = $1 AND client_id = $2 AND created_on >= $4
                    AND state NOT IN ('SUCCEEDED', 'CANCELED')
                    ORDER BY created_on DESC, id DESC LIMIT 21)
                ) entries
                WINDOW newest AS (ORDER BY date DESC, id DESC ROWS UNBOUNDED PRECEDING)
                ORDER BY date DESC, id DESC LIMIT 21
            ) h
        ) history
    ) || '}},"paymentMethods":[' || (
        SELECT coalesce(string_agg(item, ','), '') FROM (
            SELECT '{"id":"crd_' || id || '","brand":"' || brand || '","last4":"' || last4
                || '","expMonth":' || exp_month || ',"expYear":' || exp_year
                || ',"isDefault":' || is_default || ',"isExpired":'
                || (make_date(exp_year, exp_month, 1) < date_trunc('month', $3::timestamp)) || '}'
                AS item
            FROM payment_method
            WHERE practice_id = $1 AND client_id = $2 AND removed_at IS NULL
            ORDER BY is_default DESC, added_at DESC, id DESC
        ) cards
    ) || ']}}}'
FROM client c, practice p, account
WHERE c.practice_id = $1 AND c.id = $2 AND p.id = $1
"""

# $1 the practice, $2 the last day of issue, $3 the currency.
DASHBOARD = """
SELECT '{"data":{"practice":{"invoices":{"nodes":[' || coalesce(string_agg(E'\\n' || item, ','), '')
    || ']}}}}'
FROM (
    SELECT '{"id":"inv_' || i.id || '","number":' || to_json(number)
        || ',"issuedOn":"' || issued_on || '","dueOn":' || coalesce('"' || due_on || '"', 'null')
        || ',"status":"' || CASE WHEN is_void THEN 'VOID' WHEN billed - paid <= 0 THEN 'PAID'
            WHEN paid > 0 THEN 'PARTIALLY_PAID' ELSE 'UNPAID' END
        || '","total":{"amount":"' || total_minor * 0.01 || '","currency":"' || $3::text
        || '"},"client":{"id":"cli_' || i.client_id || '","name":' || to_json(c.name) || '}}'
        AS item
    FROM invoice i
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(amount_minor), 0)::bigint AS billed FROM ledger_entry
        WHERE practice_id = $1 AND invoice_id = i.id
    ) b ON true
    LEFT JOIN LATERAL (
        SELECT coalesce(sum(amount_minor), 0)::bigint AS paid FROM allocation
        WHERE practice_id = $1 AND invoice_id = i.id
    ) a ON true
    LEFT JOIN LATERAL (
        SELECT name FROM client WHERE practice_id = $1 AND id = i.client_id LIMIT 1
    ) c ON true
    WHERE i.practice_id = $1 AND issued_on <= $2
    ORDER BY issued_on DESC, serial DESC LIMIT 500
) items
"""

# $1 the practice, $2 the client, $3 the currency.
TINY = """
SELECT '{"data":{"client":{"balance":{"amount":{"amount":"'
    || coalesce(sum(amount_minor), 0)::bigint * 0.01 || '","currency":"' || $3::text || '"}}}}}'
FROM ledger_entry WHERE practice_id = $1 AND client_id = $2
"""

# $1 the practice, $2 the client, $3 the list's size. Each payment's JSON is made once, for all of
# its invoices.
DEEP = """
WITH own AS MATERIALIZED (
    SELECT id, number, serial, issued_on, is_void FROM invoice
    WHERE practice_id = $1 AND client_id = $2 AND shared_at IS NOT NULL
), put AS MATERIALIZED (
    SELECT invoice_id, payment_id, sum(amount_minor)::bigint AS minor FROM allocation
    WHERE practice_id = $1 AND client_id = $2 GROUP BY invoice_id, payment_id
), shares AS MATERIALIZED (
    SELECT payment_id, string_agg('{"amount":{"amount":"' || minor * 0.01
        || '"},"invoice":{"id":"inv_' || id || '","number":' || to_json(number) || '}}', ','
        ORDER BY serial) AS items
    FROM put JOIN own ON id = invoice_id WHERE minor <> 0 GROUP BY payment_id
), held AS MATERIALIZED (
    SELECT payment_id, CASE WHEN bool_or(state = 'OPEN') THEN 'DISPUTED' ELSE 'CHARGED_BACK' END
        AS status
    FROM dispute WHERE practice_id = $1 AND client_id = $2 AND state <> 'WON' GROUP BY payment_id
), payments AS MATERIALIZED (
    SELECT id, created_on, '{"id":"pmt_' || id || '","status":"' || coalesce(held.status, CASE
            WHEN state IN ('CREATED', 'CONFIRMING') THEN 'PENDING' ELSE state END)
        || '","amount":{"amount":"' || amount_minor * 0.01 || '"},"allocations":['
        || coalesce(items, '') || ']}' AS item
    FROM payment LEFT JOIN shares ON shares.payment_id = id LEFT JOIN held ON held.payment_id = id
    WHERE practice_id = $1 AND client_id = $2
), paying AS MATERIALIZED (
    SELECT invoice_id, string_agg(item, ',') AS items FROM (
        SELECT invoice_id, item FROM put JOIN payments ON id = payment_id
        ORDER BY invoice_id, created_on DESC, id DESC
    ) in_order GROUP BY invoice_id
)
SELECT '{"data":{"client":' || coalesce((
    SELECT '{"id":"cli_' || id || '","invoices":{"nodes":[' || (
        SELECT coalesce(string_agg('{"id":"inv_' || id || '","number":' || to_json(number)
            || ',"status":"' || CASE WHEN is_void THEN 'VOID' WHEN billed <= paid THEN 'PAID'
                WHEN paid > 0 THEN 'PARTIALLY_PAID' ELSE 'UNPAID' END
            || '","payments":[' || coalesce(items, '') || ']}', ','), '')
        FROM (
            SELECT *, (
                SELECT coalesce(sum(amount_minor), 0)::bigint FROM ledger_entry
                WHERE practice_id = $1 AND invoice_id = own.id
            ) AS billed, (
                SELECT coalesce(sum(minor), 0)::bigint FROM put WHERE invoice_id = own.id
            ) AS paid, (
                SELECT items FROM paying WHERE invoice_id = own.id
            ) AS items
            FROM own ORDER BY issued_on DESC, serial DESC LIMIT $3
        ) page
    ) || ']}}'
    FROM client WHERE practice_id = $1 AND id = $2
), 'null') || '}}'
"""

# $1 the practice, $2 the last day of issue, $3 the currency. The total count shows whether there
# are more than the first twenty.
COUNTED = """
SELECT '{"data":{"practice":{"invoices":{"totalCount":' || total || ',"nodes":[' || (
        SELECT coalesce(string_agg(item, ','), '') FROM (
            SELECT E'\\n{"id":"inv_' || id || '","number":' || to_json(number)
                || ',"issuedOn":"' || issued_on || '","total":{"amount":"' || total_minor * 0.01
                || '","currency":"' || $3::text || '"}}' AS item
            FROM invoice WHERE practice_id = $1 AND issued_on <= $2
            ORDER BY issued_on DESC, serial DESC LIMIT 20
        ) items
    ) || '],"pageInfo":{"hasNextPage":' || (total > 20) || '}}}}}'
FROM (SELECT count(*) AS total FROM invoice WHERE practice_id = $1 AND issued_on <= $2) counted
"""

# $1 the practice, $2 the client, $3 the invoice, $4 the currency.
NODE = """
SELECT '{"data":{"node":' || coalesce((
    SELECT '{"id":"inv_' || id || '","number":' || to_json(number) || ',"issuedOn":"' || issued_on
        || '","dueOn":' || coalesce('"' || due_on || '"', 'null') || ',"status":"' || CASE
            WHEN is_void THEN 'VOID' WHEN billed <= paid THEN 'PAID'
            WHEN paid > 0 THEN 'PARTIALLY_PAID' ELSE 'UNPAID' END
        || '","total":{"amount":"' || total_minor * 0.01 || '","currency":"' || $4::text
        || '"},"amountDue":{"amount":"' || (billed - paid) * 0.01 || '"}}'
    FROM invoice, LATERAL (
        SELECT coalesce(sum(amount_minor), 0)::bigint AS billed FROM ledger_entry
        WHERE practice_id = $1 AND invoice_id = $3
    ) b, LATERAL (
        SELECT coalesce(sum(amount_minor), 0)::bigint AS paid FROM allocation
        WHERE practice_id = $1 AND invoice_id = $3
    ) a
    WHERE practice_id = $1 AND client_id = $2 AND id = $3 AND shared_at IS NOT NULL
), 'null') || '}}'
"""

# $1 the practice, $2 the first days of the periods, $3 their last days, $4 and $5 the first and the
# last day of all. Periods are numbered from one; zero is before the first.
REVENUE = """
WITH flows AS MATERIALIZED (
    SELECT width_bucket(date, $2::date[]) AS place,
        sum(amount_minor) FILTER (WHERE kind = 'SESSION' OR kind = 'CHARGE') AS invoiced,
        -sum(amount_minor) FILTER (WHERE kind = 'PAYMENT') AS collected,
        sum(amount_minor) FILTER (WHERE kind = 'REFUND') AS refunded,
        -sum(amount_minor) FILTER (WHERE kind = 'WRITE_OFF') AS written_off
    FROM ledger_entry WHERE practice_id = $1 AND date BETWEEN $4 AND $5 GROUP BY 1
), due AS MATERIALIZED (
    SELECT width_bucket(since, $2::date[]) AS place, sum(minor) AS minor
    FROM (
        SELECT posted_on AS since, amount_minor AS minor FROM ledger_entry
        WHERE practice_id = $1 AND invoice_id IS NOT NULL AND posted_on <= $5
        UNION ALL
        SELECT date, -amount_minor FROM allocation WHERE practice_id = $1 AND date <= $5
    ) moved
    GROUP BY 1
)
SELECT '{"data":{"practice":{"revenue":[' || string_agg('{"start":"' || first
    || '","end":"' || last || '","invoiced":{"amount":"' || coalesce(invoiced, 0) * 0.01
    || '"},"collected":{"amount":"' || coalesce(collected, 0) * 0.01
    || '"},"refunded":{"amount":"' || coalesce(refunded, 0) * 0.01
    || '"},"writtenOff":{"amount":"' || coalesce(written_off, 0) * 0.01
    || '"},"outstandingAtEnd":{"amount":"' || outstanding * 0.01 || '"}}', ',' ORDER BY place)
    || ']}}}'
FROM (
    SELECT place, first, last, (
        SELECT coalesce(sum(minor), 0) FROM due WHERE due.place <= periods.place
    ) AS outstanding
    FROM unnest($2::date[], $3::date[]) WITH ORDINALITY periods(first, last, place)
) periods LEFT JOIN flows USING (place)
"""
