from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("runtime", "0009_heads"),
    ]

    operations = [
        migrations.AddField(
            model_name="cycle",
            name="timings",
            field=models.JSONField(
                blank=True,
                default=list,
                help_text="For each agent that ran: name, began, ended (ms since the cycle began), runs, "
                "requests to tools, number of its run entry.",
            ),
        ),
    ]
