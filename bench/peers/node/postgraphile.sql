-- What the PostGraphile peer serves, applied by the bench once the practice is loaded: views of the
-- practice's tables with what is derived beside each row. What no field asks for, PostgreSQL leaves
-- out of the plan. Views take keys by their comments; sight is put in where the plans select.

CREATE SCHEMA postgraphile;

CREATE VIEW postgraphile.practice AS
SELECT id, currency FROM public.practice;
COMMENT ON VIEW postgraphile.practice IS '@primaryKey id';

CREATE VIEW postgraphile.client AS
SELECT c.practice_id, c.id, c.name, moved.balance AS balance_minor, moved.pool, moved.invoiced,
    moved.refunded, moved.taken_back, moved.written_off, moved.adjusted, a.allocated, held.disputed,
    EXISTS (
        SELECT FROM public.payment p
        WHERE p.practice_id = c.practice_id AND p.client_id = c.id
            AND p.state IN ('CREATED', 'CONFIRMING', 'REQUIRES_ACTION', 'PROCESSING')
    ) AS is_paying
FROM public.client c
LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0)::bigint AS balance,
        coalesce(sum(amount_minor) FILTER (WHERE invoice_id IS NULL), 0)::bigint AS pool,
        coalesce(sum(amount_minor) FILTER (WHERE kind IN ('SESSION', 'CHARGE')), 0)::bigint
            AS invoiced,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'REFUND'), 0)::bigint AS refunded,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'DISPUTE'), 0)::bigint AS taken_back,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'WRITE_OFF'), 0)::bigint AS written_off,
        coalesce(sum(amount_minor) FILTER (WHERE kind = 'ADJUSTMENT'), 0)::bigint AS adjusted
    FROM public.ledger_entry e WHERE e.practice_id = c.practice_id AND e.client_id = c.id
) moved ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0)::bigint AS allocated
    FROM public.allocation a WHERE a.practice_id = c.practice_id AND a.client_id = c.id
) a ON true
LEFT JOIN LATERAL (
    -- What is due of invoices that open disputes have made due again.
    SELECT coalesce(sum(
        (SELECT coalesce(sum(amount_minor), 0) FROM public.ledger_entry e
            WHERE e.practice_id = c.practice_id AND e.invoice_id = of_dispute.invoice_id)
        - (SELECT coalesce(sum(amount_minor), 0) FROM public.allocation a
            WHERE a.practice_id = c.practice_id AND a.invoice_id = of_dispute.invoice_id)
        ), 0)::bigint AS disputed
    FROM (
        SELECT t.invoice_id FROM public.dispute d
        JOIN public.allocation t ON t.practice_id = d.practice_id AND t.dispute_id = d.id
        WHERE d.practice_id = c.practice_id AND d.client_id = c.id AND d.state = 'OPEN'
        GROUP BY t.invoice_id HAVING sum(t.amount_minor) < 0
    ) of_dispute
) held ON true;
COMMENT ON VIEW postgraphile.client IS '@primaryKey practice_id,id';

CREATE VIEW postgraphile.invoice AS
SELECT i.practice_id, i.id, i.client_id, i.number, i.serial, i.issued_on, i.due_on, i.total_minor,
    i.is_void, i.shared_at, b.billed - a.paid AS due_minor,
    CASE
        WHEN i.is_void THEN 'VOID'
        WHEN b.billed - a.paid <= 0 THEN 'PAID'
        WHEN a.paid > 0 THEN 'PARTIALLY_PAID'
        ELSE 'UNPAID'
    END AS status
FROM public.invoice i
LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0)::bigint AS billed
    FROM public.ledger_entry e WHERE e.practice_id = i.practice_id AND e.invoice_id = i.id
) b ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0)::bigint AS paid
    FROM public.allocation a WHERE a.practice_id = i.practice_id AND a.invoice_id = i.id
) a ON true;
COMMENT ON VIEW postgraphile.invoice IS '@primaryKey practice_id,id';

CREATE VIEW postgraphile.statement AS
SELECT practice_id, id, client_id, number, serial, issued_on, period_start, period_end,
    ending_minor, shared_at
FROM public.statement;
COMMENT ON VIEW postgraphile.statement IS '@primaryKey practice_id,id';

CREATE VIEW postgraphile.superbill AS
SELECT practice_id, id, client_id, number, serial, issued_on, period_start, period_end, shared_at,
    (
        SELECT coalesce(sum(fee_minor), 0)::bigint FROM public.superbill_line l
        WHERE l.practice_id = s.practice_id AND l.superbill_id = s.id
    ) AS fee_minor
FROM public.superbill s;
COMMENT ON VIEW postgraphile.superbill IS '@primaryKey practice_id,id';

CREATE VIEW postgraphile.payment_method AS
SELECT practice_id, id, client_id, brand, last4, exp_month, exp_year, is_default, added_at
FROM public.payment_method WHERE removed_at IS NULL;
COMMENT ON VIEW postgraphile.payment_method IS '@primaryKey practice_id,id';

CREATE VIEW postgraphile.invoice_payment AS
SELECT DISTINCT a.practice_id, a.invoice_id, p.id, p.amount_minor, p.created_on,
    coalesce((SELECT CASE WHEN bool_or(d.state = 'OPEN') THEN 'DISPUTED' ELSE 'CHARGED_BACK' END
        FROM public.dispute d WHERE d.practice_id = p.practice_id AND d.payment_id = p.id
            AND d.state <> 'WON' GROUP BY d.payment_id),
        CASE WHEN p.state IN ('CREATED', 'CONFIRMING') THEN 'PENDING' ELSE p.state END) AS status
FROM public.allocation a
JOIN public.payment p ON p.practice_id = a.practice_id AND p.id = a.payment_id;
COMMENT ON VIEW postgraphile.invoice_payment IS '@primaryKey practice_id,invoice_id,id';

CREATE VIEW postgraphile.payment_allocation AS
SELECT a.practice_id, a.payment_id, a.invoice_id, i.serial, i.shared_at,
    sum(a.amount_minor)::bigint AS amount_minor
FROM public.allocation a
JOIN public.invoice i ON i.practice_id = a.practice_id AND i.id = a.invoice_id
GROUP BY a.practice_id, a.payment_id, a.invoice_id, i.serial, i.shared_at
HAVING sum(a.amount_minor) <> 0;
COMMENT ON VIEW postgraphile.payment_allocation IS '@primaryKey practice_id,payment_id,invoice_id';

-- The ledger, sessions on no invoice, and payments that moved nothing (yet). `balance_after` is the
-- sum up to the entry, whatever else is shown.
CREATE VIEW postgraphile.account_history_entry AS
SELECT h.practice_id, h.client_id, h.id, h.date, h.kind, h.description, h.amount_minor,
    coalesce(h.status, CASE
        WHEN h.kind IN ('SESSION', 'CHARGE') THEN i.status
        WHEN h.kind = 'PAYMENT' AND d.status IS NOT NULL THEN d.status
        WHEN h.kind = 'PAYMENT' AND r.refunded >= -h.amount_minor THEN 'REFUNDED'
        WHEN h.kind = 'PAYMENT' THEN 'PAID'
    END) AS status,
    (
        SELECT coalesce(sum(amount_minor), 0)::bigint FROM public.ledger_entry e
        WHERE e.practice_id = h.practice_id AND e.client_id = h.client_id
            AND (e.posted_on, e.id) <= (h.date, h.id)
    ) AS balance_after_minor
FROM (
    SELECT practice_id, client_id, id, posted_on AS date, kind::text, description, amount_minor,
        NULL::text AS status, invoice_id, payment_id
    FROM public.ledger_entry
    UNION ALL
    SELECT practice_id, client_id, id, date, 'SESSION', description, fee_minor, 'UNINVOICED', NULL,
        NULL
    FROM public.session s
    WHERE NOT EXISTS (
        SELECT FROM public.invoice_line l
        WHERE l.practice_id = s.practice_id AND l.session_id = s.id AND NOT l.is_void
    )
    UNION ALL
    SELECT practice_id, client_id, id, created_on, 'PAYMENT', 'Payment', -amount_minor,
        CASE state WHEN 'FAILED' THEN 'FAILED' ELSE 'PENDING' END, NULL, NULL
    FROM public.payment WHERE state NOT IN ('SUCCEEDED', 'CANCELED')
) h
LEFT JOIN LATERAL (
    SELECT nullif(status, 'VOID') AS status FROM postgraphile.invoice i
    WHERE i.practice_id = h.practice_id AND i.id = h.invoice_id
) i ON true
LEFT JOIN LATERAL (
    SELECT coalesce(sum(amount_minor), 0)::bigint AS refunded FROM public.ledger_entry e
    WHERE e.practice_id = h.practice_id AND e.payment_id = h.payment_id AND e.kind = 'REFUND'
) r ON true
LEFT JOIN LATERAL (
    SELECT CASE WHEN bool_or(d.state = 'OPEN') THEN 'DISPUTED' ELSE 'CHARGED_BACK' END AS status
    FROM public.dispute d WHERE d.practice_id = h.practice_id AND d.payment_id = h.payment_id
        AND d.state <> 'WON' GROUP BY d.payment_id
) d ON true;
COMMENT ON VIEW postgraphile.account_history_entry IS '@primaryKey practice_id,id';

CREATE TYPE postgraphile.revenue_period AS (
    start date, "end" date, invoiced_minor bigint, collected_minor bigint, refunded_minor bigint,
    written_off_minor bigint, outstanding_minor bigint
);

-- The practice's money by periods of so many months; the outer two end where the range does. A row
-- of an invoice counts from its issue on; what is older than the range, on the range's first day.
CREATE FUNCTION postgraphile.revenue(
    practice_id uuid, first_day date, last_day date, months integer
)
RETURNS SETOF postgraphile.revenue_period LANGUAGE sql STABLE AS $$
WITH periods AS (
    SELECT row_number() OVER (ORDER BY month) AS place, greatest(month::date, first_day) AS start,
        least((month + make_interval(months => months) - interval '1 day')::date, last_day) AS "end"
    FROM generate_series(
        date_trunc(CASE months WHEN 1 THEN 'month' WHEN 3 THEN 'quarter' ELSE 'year' END,
            first_day::timestamp),
        last_day::timestamp, make_interval(months => months)) month
), starts AS MATERIALIZED (
    SELECT array_agg(start ORDER BY place) AS days FROM periods
), flows AS (
    SELECT width_bucket(date, (SELECT days FROM starts)) AS place,
        sum(amount_minor) FILTER (WHERE kind IN ('SESSION', 'CHARGE')) AS invoiced,
        -sum(amount_minor) FILTER (WHERE kind = 'PAYMENT') AS collected,
        sum(amount_minor) FILTER (WHERE kind = 'REFUND') AS refunded,
        -sum(amount_minor) FILTER (WHERE kind = 'WRITE_OFF') AS written_off
    FROM public.ledger_entry e
    WHERE e.practice_id = revenue.practice_id AND date BETWEEN first_day AND last_day GROUP BY 1
), due AS (
    SELECT width_bucket(greatest(since, first_day), (SELECT days FROM starts)) AS place,
        sum(minor) AS minor
    FROM (
        SELECT e.posted_on AS since, e.amount_minor AS minor FROM public.ledger_entry e
        WHERE e.practice_id = revenue.practice_id AND e.invoice_id IS NOT NULL
        UNION ALL
        SELECT a.date, -a.amount_minor FROM public.allocation a
        WHERE a.practice_id = revenue.practice_id
    ) moved WHERE since <= last_day GROUP BY 1
)
SELECT start, "end", coalesce(invoiced, 0)::bigint, coalesce(collected, 0)::bigint,
    coalesce(refunded, 0)::bigint, coalesce(written_off, 0)::bigint,
    coalesce(sum(minor) OVER (ORDER BY place), 0)::bigint
FROM periods LEFT JOIN flows USING (place) LEFT JOIN due USING (place) ORDER BY place
$$;
