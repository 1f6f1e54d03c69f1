"""A rule that was switched off becomes an example of the code's, or one that an admin retired."""

from django.db import migrations


def name_states(apps, schema_editor):
    rules = apps.get_model("runtime", "GovernanceRule").objects.filter(enabled=False)
    for rule in rules:
        by_admin = rule.origin == "admin" or "enabled" in rule.changed_fields
        rule.state = "retired" if by_admin else "draft"
        rule.save(update_fields=["state"])
    for rule in apps.get_model("runtime", "GovernanceRule").objects.exclude(changed_fields=[]):
        rule.changed_fields = sorted("state" if name == "enabled" else name for name in rule.changed_fields)
        rule.save(update_fields=["changed_fields"])


def name_switches(apps, schema_editor):
    apps.get_model("runtime", "GovernanceRule").objects.exclude(state="active").update(enabled=False)


def name_rules_that_ask(apps, schema_editor):
    """An open conflict names the operator rule that leaves it to people, as its trace tells."""
    for row in apps.get_model("runtime", "Conflict").objects.filter(status="open", kind="conflict"):
        last = row.trace[-1] if row.trace else {}
        if last.get("kind") == "operator" and last.get("why") == "leaves it to an operator":
            row.rule = last["rule"]
            row.save(update_fields=["rule"])


class Migration(migrations.Migration):
    dependencies = [("runtime", "0006_governance")]
    operations = [
        migrations.RunPython(name_states, name_switches),
        migrations.RunPython(name_rules_that_ask, migrations.RunPython.noop),
    ]
