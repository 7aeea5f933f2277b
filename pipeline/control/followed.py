"""What an App follows: its sources with who opens each, what they said last, and what a render may fetch besides."""

from collections.abc import Callable, Mapping

from pipeline.allowed import location
from pipeline.app import App, ChartSource, NamedSource, Place, Source
from pipeline.control.answers import Answers, Repository
from pipeline.control.polls import Polls
from pipeline.control.resource import AppKey
from pipeline.control.shared import Shared
from pipeline.errors import SourceError
from pipeline.location import transport_of
from pipeline.source.credentials import Credentials

Followed = Mapping[str, tuple[Repository, Place]]


def answers_of(polls: Polls, key: AppKey, app: App) -> Answers | None:
    """The last answers; None as long as one of them is missing."""
    main = polls.answer(key)
    others = {source.name: polls.answer(key, source.name) for source in app.spec.sources}
    known = {name: answer for name, answer in others.items() if answer is not None}
    return Answers(main, known) if main is not None and len(known) == len(others) else None


def followed(app: App, shared: Shared) -> Followed:
    """Where each source of the App is asked, and by whose key. Raises SourceError for what an App may not do."""
    assert app.spec.source is not None  # noqa: S101 - an App resource has one
    return {
        source.name if isinstance(source, NamedSource) else "": (_repository(app, source, shared), source.place)
        for source in (app.spec.source, *app.spec.sources)
    }


def opener(app: App, key: AppKey, shared: Shared) -> Callable[[str], Credentials]:
    """What opens a URL that a render asks for: what opens a source of the App on the same server, else nothing.

    It raises SourceError for a URL that an App may not name.
    """
    servers = []
    for name, (repository, _) in followed(app, shared).items():
        if not _is_file(repository.url):
            servers.append((location(repository.url).server, shared.polls.credentials(key, name)))

    def opens(url: str) -> Credentials:
        if _is_file(url):
            _check_file(url, shared)
            return Credentials()
        there = location(url)
        for server, credentials in servers:
            if server == there.server and credentials is not None:
                return credentials
        if there.scheme == "ssh":
            raise SourceError(
                f"no source of App {app} is on the server of {url}, and so no SSH key opens it",
                hint="use https, or name a source on that server in spec.sources with its secretRef",
            )
        return Credentials()

    return opens


def _repository(app: App, source: Source, shared: Shared) -> Repository:
    place, secret, namespace = source.place, source.secret_ref, app.metadata.namespace
    charts = isinstance(place, ChartSource)
    transport = "" if charts else transport_of(place.url)
    if transport == "file" and place.url != shared.flags_url:
        _check_file(place.url, shared)
    if secret is not None:
        return Repository(place.url, (namespace, secret.name), charts=charts)
    if transport == "ssh" and namespace != shared.own_namespace:
        raise SourceError(
            f"App {app} names no Secret with an SSH key, and the controller's own deploy key serves only Apps "
            f"of namespace {shared.own_namespace}",
            hint="create a Secret with the key, and name it in spec.source.secretRef",
        )
    return Repository(place.url, charts=charts)


def _is_file(url: str) -> bool:
    return url.startswith(("/", "file:"))


def _check_file(url: str, shared: Shared) -> None:
    if not shared.file_urls:
        raise SourceError(
            f"the URL {url} is a path on the controller's own machine, which an App may not read",
            hint="use https or ssh",
        )
