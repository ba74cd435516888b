"""The database as a toolbox: connection, tables, migrations. Knows no feature."""
