# One image for the web, worker and scheduler of compose.yaml.
FROM python:3.11-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 CONVERGE_HOME=/var/lib/converge

RUN useradd --system --create-home --home-dir /var/lib/converge converge
WORKDIR /app
COPY pyproject.toml requirements.lock README.md ./
COPY runtime/__init__.py runtime/
COPY converge_site/__init__.py converge_site/
# The lock as a constraint: what the service needs, in the pinned versions, without the tools of the tests.
RUN pip install --no-cache-dir --constraint requirements.lock --editable .
COPY . .

USER converge
VOLUME /var/lib/converge
EXPOSE 8000
CMD ["python", "-m", "converge_site.serve", "-b", "0.0.0.0", "-p", "8000", "--verbosity", "0", "--no-server-name", \
     "--websocket_timeout", "-1", "converge_site.asgi:application"]
