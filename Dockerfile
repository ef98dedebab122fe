# One image for web, worker, beat and `up`; the command says which. No embedded servers, no tests.
FROM python:3.11-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PATH=/opt/venv/bin:$PATH
WORKDIR /app

# The same list as on a laptop: Pango and Korean type for PDFs, gettext for the Korean screens.
COPY .ci/packages.txt /tmp/packages.txt
RUN apt-get update \
    && xargs apt-get install --yes --no-install-recommends < /tmp/packages.txt \
    && rm -rf /var/lib/apt/lists/* /tmp/packages.txt

COPY requirements.txt ./
RUN python -m venv /opt/venv \
    && pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

COPY manage.py ./
COPY registry registry
COPY sites sites
COPY crf crf
COPY safety safety
COPY exports exports
COPY templates templates
COPY static static

# The settings refuse to load without their values: these last for one command and reach nothing.
RUN msgfmt --check -o registry/locale/ko/LC_MESSAGES/django.mo registry/locale/ko/LC_MESSAGES/django.po \
    && random() { python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'; } \
    && SECRET_KEY="$(random)$(random)" IDENTITY_KEYS="$(random)" IDENTITY_HMAC_KEY="$(random)" \
       SITE_URL=https://build.invalid DATA_DIR=/tmp MAIL_URL=console: MAIL_FROM=build@build.invalid \
       DATABASE_URL=postgresql://nobody@build.invalid/none REDIS_URL=redis://build.invalid \
       python manage.py collectstatic --no-input --verbosity 0

RUN useradd --system --uid 10001 --no-create-home edc \
    && install --directory --owner edc --mode 700 /data
USER edc
ENV DATA_DIR=/data
VOLUME /data
EXPOSE 8000
CMD ["gunicorn", "--config", "python:registry.gunicorn", "--bind", "0.0.0.0:8000", "registry.wsgi"]
