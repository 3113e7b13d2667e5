-- A capture's tables joined, for DuckDB: duckdb -init capture.sql
--   FROM flows('DIR') WHERE verdict = 'DROPPED';
-- DIR is the capture's folder. What is still being written lies in folders that begin with a dot and is left out.

CREATE OR REPLACE MACRO endpoints(dir) AS TABLE
SELECT
    id,
    any_value(cluster_name) AS cluster_name,
    any_value(namespace) AS namespace,
    any_value(labels) AS labels,
    any_value(reserved) AS reserved,
    max(workload_kind) AS workload_kind,
    max(workload_name) AS workload_name
FROM read_parquet(dir || '/[0-9]*/endpoints.parquet')
GROUP BY id;

CREATE OR REPLACE MACRO flows(dir) AS TABLE
SELECT
    f.*,
    s.cluster_name AS source_cluster,
    s.namespace AS source_namespace,
    s.workload_name AS source_workload,
    s.labels AS source_labels,
    d.cluster_name AS destination_cluster,
    d.namespace AS destination_namespace,
    d.workload_name AS destination_workload,
    d.labels AS destination_labels
FROM read_parquet(dir || '/[0-9]*/flows.parquet') AS f
LEFT JOIN endpoints(dir) AS s ON s.id = f.source
LEFT JOIN endpoints(dir) AS d ON d.id = f.destination;

CREATE OR REPLACE MACRO names(dir) AS TABLE
SELECT e.namespace, e.workload_name AS workload, n.ip, n.name, n.source, min(n.first) AS first, max(n.last) AS last
FROM read_parquet(dir || '/[0-9]*/names.parquet') AS n
LEFT JOIN endpoints(dir) AS e ON e.id = n.subject
GROUP BY ALL;

CREATE OR REPLACE MACRO ledger(dir) AS TABLE
SELECT node, kind, source, sum(count) AS count, min(first) AS first, max(last) AS last
FROM read_parquet(dir || '/[0-9]*/ledger.parquet')
GROUP BY ALL;
