"""Tests of connections, migrations, constraints and locks."""
