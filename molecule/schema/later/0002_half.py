"""Fail, once half of it is done."""

from alembic import op

revision = "0002b"
down_revision = "0001"


def upgrade():
    op.execute("ALTER TABLE item ADD COLUMN half INTEGER")
    op.execute("ALTER TABLE no_such_table ADD COLUMN price INTEGER")


def downgrade():
    pass
