"""Jobs that stopped as `recovering` before anything woke them are due at once."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("runtime", "0003_tools_and_recovery")]

    operations = [
        migrations.RunSQL(
            "UPDATE runtime_job SET retry_at = 0 WHERE status = 'recovering' AND retry_at IS NULL",
            migrations.RunSQL.noop,
        )
    ]
