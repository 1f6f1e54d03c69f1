import os
import pytest
from playwright.sync_api import sync_playwright
from tests.admin.cast import agent, rule, growth as g, person
from runtime.actions import submit_job
from django.urls import reverse

@pytest.mark.django_db(transaction=True)
def test_shots(live_server, client):
    ada = person("ada", "admin"); g()
    submit_job(ada,"growth",[{"key": "company", "subject": "A", "value": {"goal": "profit", "budget": 1000, "risk": "balanced", "horizon": 6}}])
    client.force_login(ada)
    from django.conf import settings
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        ctx = b.new_context(viewport={"width":1300,"height":1000})
        ctx.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": client.cookies[settings.SESSION_COOKIE_NAME].value, "url": live_server.url}])
        pg = ctx.new_page()
        log=[]
        pg.on("console", lambda m: log.append((m.type,m.text[:200])))
        pg.on("pageerror", lambda e: log.append(("err",str(e)[:200])))
        for n,u in [("index",reverse("admin:index")),("rules",reverse("admin:runtime_governancerule_changelist")),("rule",reverse("admin:runtime_governancerule_change",args=[rule("clear margin").pk])),("agent",reverse("admin:runtime_agent_change",args=[agent("momentum").pk])),("pack",reverse("admin:runtime_pack_change",args=[agent("momentum").pack_id])),("user",reverse("admin:auth_user_change",args=[ada.pk])),("audit",reverse("admin:runtime_auditrecord_changelist")),("job",reverse("admin:runtime_job_changelist"))]:
            pg.goto(live_server.url+u); pg.wait_for_timeout(400)
            pg.screenshot(path=f"/tmp/scratch/shots/{n}.png", full_page=True)
            log.append(("page",n))
        pg.goto(live_server.url+reverse("admin:runtime_governancerule_change",args=[rule("clear margin").pk]))
        pg.fill("[name=expression]","sides.size( <"); pg.fill("[name=why]","x"); pg.click("[name=_save]"); pg.wait_for_timeout(400)
        pg.screenshot(path="/tmp/scratch/shots/rule_err.png", full_page=True)
        pg.fill("[name=expression]",""); pg.fill("[name=params]",'{"margin": 0.2}'); pg.click("[name=_save]"); pg.wait_for_timeout(400)
        pg.screenshot(path="/tmp/scratch/shots/rule_ok.png", full_page=True)
        for l in log: print(l)
        b.close()
