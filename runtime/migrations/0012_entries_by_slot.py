from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runtime", "0011_saved_views"),
    ]

    operations = [
        migrations.RemoveIndex(model_name="entry", name="entry_standing"),
        migrations.AddIndex(
            model_name="entry",
            index=models.Index(fields=["job", "key", "subject", "seq", "now"], name="entry_by_slot"),
        ),
    ]
