#!/bin/bash
# Run once by the database's image, on an empty volume: roles and rights before any table.
set -euo pipefail

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --output /dev/null <<SQL
\set owner \`cat /run/secrets/owner_password\`
\set app \`cat /run/secrets/app_password\`
\set backup \`cat /run/secrets/backup_password\`
SELECT set_config('edc.owner_password', :'owner', false),
       set_config('edc.app_password', :'app', false),
       set_config('edc.backup_password', :'backup', false);
\i /sql/roles.sql
\i /sql/database.sql
SQL
