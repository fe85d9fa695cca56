"""Runs migrations on the connection that `orchestrator.storage.migrate` gives, inside its transaction."""

from alembic import context

from orchestrator.storage.schema import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
