-- Run by PostgreSQL's image at its first start, as its superuser: the historian owns its schema, Grafana may only read.
\set ON_ERROR_STOP on
\set edge `cat /run/secrets/database_password`
\set grafana `cat /run/secrets/grafana_database_password`
CREATE USER edge PASSWORD :'edge';
CREATE USER grafana PASSWORD :'grafana';
CREATE SCHEMA edge AUTHORIZATION edge;
GRANT USAGE ON SCHEMA edge TO grafana;
ALTER DEFAULT PRIVILEGES FOR ROLE edge IN SCHEMA edge GRANT SELECT ON TABLES TO grafana;
