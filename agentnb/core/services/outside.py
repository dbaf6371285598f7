"""Files, git, Docker, HTTP and WebSocket."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError, UsageError
from agentnb.core.services.entry import Check, Service, untimed

if TYPE_CHECKING:
    from agentnb.core.api import APIClient, GitHub
    from agentnb.core.api.clients import Clients
    from agentnb.core.docker import DockerManager
    from agentnb.core.files import FileSystemManager
    from agentnb.core.git.credentials import Login
    from agentnb.core.git.repositories import Repositories
    from agentnb.core.hub import Hub
    from agentnb.core.mcp.clients import MCPClients
    from agentnb.core.tools.box import Toolbox
    from agentnb.core.websocket import WebSockets

__all__ = ["APIS", "DOCKER", "FILES", "GITHUB", "MCP", "REPOSITORIES", "TOOLS", "WEBSOCKETS"]


def _files(hub: Hub) -> FileSystemManager:
    from agentnb.core.files import FileSystemManager

    settings = hub.settings
    return FileSystemManager(
        settings.workspace,
        max_size=settings.file_size,
        quota=settings.files_quota,
        read_only=settings.workspace_read_only,
        home=settings.home,
        runtime=hub.runtime,
    )


FILES: Service[FileSystemManager] = Service(
    "files",
    _files,
    settings=("home", "file_size", "files_quota", "workspace", "workspace_read_only"),
    checks=lambda it: [Check("files", it.confined_by, untimed(it.ping))],
)


def _repositories(hub: Hub) -> Repositories:
    from agentnb.core.git.repositories import Repositories

    settings = hub.settings
    return Repositories(
        workspace=settings.workspace,
        home=settings.home,
        # One that the user has chosen may be meant to be in a repository.
        scratch=settings.workspace if settings.source("workspace") == "default" else None,
        logins=_git_logins(hub),
        timeout=settings.git_timeout,
        protected=settings.git_protected or (),
        filters=settings.git_filters,
        runtime=hub.runtime,
    )


def _git_logins(hub: Hub) -> list[Login]:
    from agentnb.core.git.credentials import Login, logins

    settings = hub.settings
    found = []
    if settings.github_token is not None:
        found.append(Login("https://github.com", "x-access-token", settings.github_token))
    if settings.git_credentials is not None:
        try:
            found += logins(settings.git_credentials.reveal().split())
        except UsageError as error:
            raise ConfigError(
                "AGENTNB_GIT_CREDENTIALS cannot be understood",
                service="settings",
                hint="https://USER:TOKEN@HOST, several with spaces between them",
            ) from error
    for login in found:
        settings.redactor.add(login.password.reveal())
    return found


REPOSITORIES: Service[Repositories] = Service(
    "repositories",
    _repositories,
    settings=(
        *("home", "git_credentials", "git_filters", "git_protected", "git_timeout"),
        *("github_token", "workspace"),
    ),
    checks=lambda it: [Check("git", "program", untimed(it.ping))],
)


def _docker(hub: Hub) -> DockerManager:
    from agentnb.core.docker import POLICIES, DockerManager
    from agentnb.core.paths import ensure_home

    settings = hub.settings
    policies = [
        replace(
            POLICIES[name],
            memory=settings.docker_memory,
            cpus=settings.docker_cpus,
            pids=settings.docker_pids,
        )
        for name in settings.docker_policies
    ]
    return DockerManager(
        settings.docker_host,
        context=settings.docker_context,
        home=ensure_home(settings.home),
        policies=policies,
        roots=[settings.root, settings.workspace],
        workspace=settings.workspace,
        runtime=hub.runtime,
    )


DOCKER: Service[DockerManager] = Service(
    "docker",
    _docker,
    settings=(
        *("home", "docker_context", "docker_cpus", "docker_host", "docker_memory", "docker_pids"),
        *("docker_policies", "workspace"),
    ),
    checks=lambda it: [Check("docker", "engine", untimed(it.ping))],
)


def _apis(hub: Hub) -> Clients:
    from agentnb.core.api import APIClient
    from agentnb.core.api.clients import Clients

    settings = hub.settings
    runtime = hub.runtime

    def make(base_url: str, **options: Any) -> APIClient:
        defaults = {"timeout": settings.api_timeout, "max_bytes": settings.api_max_bytes}
        return APIClient(
            base_url,
            **(defaults | {"workspace": lambda: hub.files} | options),
            runtime=runtime,
        )

    return Clients(make)


def _clients(clients: Clients) -> str:
    count = len(clients.all())
    return f"{count} client{'' if count == 1 else 's'}"


APIS: Service[Clients] = Service(
    "apis",
    _apis,
    settings=("api_max_bytes", "api_timeout"),
    checks=lambda it: [Check("api", _clients(it), untimed(it.ping))],
)


def _github(hub: Hub) -> GitHub:
    from agentnb.core.api import GitHub
    from agentnb.core.api.github import HEADERS

    token = hub.settings.github_token
    client = hub.api(hub.settings.github_url, auth=token, headers=HEADERS)
    return GitHub(client, has_token=token is not None, runtime=hub.runtime)


GITHUB: Service[GitHub] = Service("github", _github, settings=("github_token", "github_url"))


def _websockets(hub: Hub) -> WebSockets:
    from agentnb.core.websocket import WebSockets

    return WebSockets(
        home=hub.settings.home,
        runtime=hub.runtime,
    )


WEBSOCKETS: Service[WebSockets] = Service(
    "websockets",
    _websockets,
    settings=("home",),
    checks=lambda it: [Check("websocket", one.url, untimed(one.ping)) for one in it.clients()],
)


def _toolbox(hub: Hub) -> Toolbox:
    from agentnb.core.tools.box import Toolbox

    return Toolbox(hub)


TOOLS: Service[Toolbox] = Service("tools", _toolbox)  # its settings are read with each offer


def _mcp(hub: Hub) -> MCPClients:
    from agentnb.core.mcp.clients import MCPClients
    from agentnb.core.paths import ensure_home

    return MCPClients(ensure_home(hub.settings.home) / "mcp", hub.runtime)


MCP: Service[MCPClients] = Service("mcp", _mcp, settings=("home",))
