"""Expand: a column that the code of before does not know."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    op.add_column("item", sa.Column("price", sa.Integer))


def downgrade():
    op.drop_column("item", "price")
