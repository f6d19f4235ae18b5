"""What Alembic runs for every command; the connection comes from models.migrations."""

import warnings

from alembic import context

import models
from models.migrations import comparing, rebuilding

# Both modules tell Alembic of themselves; expression indexes are kept and compared by them.
__all__ = ["comparing", "rebuilding"]
warnings.filterwarnings("ignore", ".*expression-based index")

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=models.Row.metadata,
    # None leaves an item out, which Alembic's types do not say.
    render_item=comparing.write_item,  # type: ignore[arg-type]
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
