"""A real Label Studio server for tests: started on fresh data, stopped and removed afterwards."""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import requests

ROOT = Path(__file__).parents[2]
HOME = ROOT / ".venv-label-studio"

SECRET_KEY = "tests-only-so-that-access-tokens-survive-a-restart"
SETTINGS = {
    "SECRET_KEY": SECRET_KEY,
    "COLLECT_ANALYTICS": "false",
    "LATEST_VERSION_CHECK": "false",
    "SENTRY_DSN": "",
    "FRONTEND_SENTRY_DSN": "",
    "SSRF_PROTECTION_ENABLED": "false",  # webhooks and imports from this machine
    "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
    "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
}
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
MIGRATE_TIMEOUT_S = 600.0
REQUEST_TIMEOUT_S = 300.0
TOKENS_ARE_OFF = "legacy token authentication has been disabled"
SHARED_MEMORY = Path("/dev/shm")
ROOM_BYTES = 1 << 30

ConfigKind = Literal["boxes", "choices"]
Sampling = Literal["Sequential sampling", "Uniform sampling", "Uncertainty sampling"]


def find_label_studio() -> Path | None:
    """The executable: LABEL_STUDIO_BIN, else the one of .venv-label-studio, else None."""
    named = os.environ.get("LABEL_STUDIO_BIN")
    executable = Path(named) if named else HOME / "bin" / "label-studio"
    return executable if executable.is_file() else None


def clean_environment(data_folder: Path) -> dict[str, str]:
    """The variables of this process without its Label Studio ones, and those of an offline server."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LABEL_STUDIO_", "HEARTEX_"))}
    return {**kept, **SETTINGS, "LABEL_STUDIO_BASE_DATA_DIR": str(data_folder)}


def version_of(executable: Path) -> str:
    """The version of the package beside the executable, without the seconds its import takes."""
    python = executable.resolve().parent / "python"
    code = "import importlib.metadata as m; print(m.version('label-studio'))"
    return subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout.strip()


def make_template(executable: Path) -> Path:
    """A data folder with all migrations done and no user, made once per version (about 30 s).

    It is built aside and renamed: of two processes that build it at once, the second uses the first one's.
    """
    template = HOME / f"template-{version_of(executable)}"
    if template.is_dir():
        return template
    HOME.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME, prefix="template-being-made-") as aside:
        made = Path(aside) / "data"
        done = subprocess.run(
            [executable, "version"],
            env=clean_environment(made),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=MIGRATE_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{executable} version ended with {done.returncode}:\n{done.stdout[-3000:]}")
        try:
            made.rename(template)
        except OSError:
            if not template.is_dir():
                raise
    return template


def base64_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class LabelStudioServer:
    """A server on fresh data in a temporary folder, as a context manager.

    Args:
        executable: Path of `label-studio`; `find_label_studio()` by default.
        document_root: Folder whose subfolders can be storages of local files.
        settings: Further environment variables.
    """

    def __init__(
        self, executable: Path | None = None, *, document_root: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        found = executable or find_label_studio()
        if found is None:
            raise FileNotFoundError("no Label Studio: set LABEL_STUDIO_BIN or install it into .venv-label-studio")
        self.executable = found
        self.document_root = document_root
        self.settings = dict(settings or {})
        self.username = "admin@example.com"
        self.password = secrets.token_hex(8)
        self.token = secrets.token_hex(20)  # ours alone, so a server that accepts it is ours
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._cleanup = ExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log_file.read_text(errors="replace")

    @cached_property
    def admin(self) -> LabelStudioAdmin:
        """Calls as the server's first user."""
        return LabelStudioAdmin(self.url, self.token)

    def __enter__(self) -> LabelStudioServer:
        template = make_template(self.executable)
        has_room = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ROOM_BYTES
        with self._cleanup as cleanup:
            folder = tempfile.TemporaryDirectory(prefix="label-studio-", dir=SHARED_MEMORY if has_room else None)
            self.folder = Path(cleanup.enter_context(folder))
            self._log_file = self.folder / "server.log"
            shutil.copytree(template, self.folder / "data")
            cleanup.callback(self.stop)
            self.port = free_port()
            self.start()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__dict__.pop("admin", None)
        self._cleanup.close()

    def start(self) -> None:
        """Starts the process on this server's data and port, and waits until it answers."""
        environment = {
            **clean_environment(self.folder / "data"),
            "LABEL_STUDIO_USERNAME": self.username,
            "LABEL_STUDIO_PASSWORD": self.password,
            "LABEL_STUDIO_USER_TOKEN": self.token,
            **self.settings,
        }
        if self.document_root is not None:
            environment["LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED"] = "true"
            environment["LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"] = str(self.document_root)
        command: list[str | Path] = [
            self.executable,
            "start",
            "--no-browser",
            "--internal-host",
            "127.0.0.1",
            "--port",
            str(self.port),
        ]
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_up(self._process)
        except BaseException:
            self.kill()
            raise

    def _wait_until_up(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"Label Studio ended with {process.returncode} at start:\n{self.log[-3000:]}")
            try:
                is_up = requests.get(f"{self.url}/health", timeout=5).status_code == requests.codes.ok
            except requests.RequestException:
                is_up = False
            if is_up and not self._answers():  # where the port is taken, Label Studio silently moves to the next one
                raise RuntimeError(f"port {self.port} belongs to another server; Label Studio said:\n{self.log[-3000:]}")
            if is_up:
                return
            time.sleep(0.1)
        raise TimeoutError(f"Label Studio did not answer within {START_TIMEOUT_S:.0f} s:\n{self.log[-3000:]}")

    def _answers(self) -> bool:
        """Whether the server at our address knows the user whom we made up."""
        path = f"{self.url}/api/current-user/whoami"
        answer = requests.get(path, headers={"Authorization": f"Token {self.token}"}, timeout=60)
        if answer.status_code == requests.codes.unauthorized:
            return TOKENS_ARE_OFF in answer.text  # said of known tokens only
        return answer.ok and answer.json().get("email") == self.username

    def stop(self) -> None:
        """Ends the process, by force after 10 s; the data stays until the context ends."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """Ends the process as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self) -> None:
        """Stops and starts on the same data, address and tokens."""
        self.stop()
        self.start()

    def switch_tokens(self, *, legacy: bool = True, personal: bool = True) -> None:
        """Allows or forbids the two kinds of tokens for all users."""
        with self.admin.session(self.username, self.password) as session:
            body = {"legacy_api_tokens_enabled": legacy, "api_tokens_enabled": personal}
            answer = session.post(f"{self.url}/api/jwt/settings", json=body, timeout=REQUEST_TIMEOUT_S)
            assert answer.ok, answer.text

    def short_lived_token(self, access_token: str, lifetime_s: float) -> str:
        """A personal access token, exchanged and signed again so that it ends after a time; expired when negative."""
        answer = requests.post(f"{self.url}/api/token/refresh/", json={"refresh": access_token}, timeout=REQUEST_TIMEOUT_S)
        assert answer.ok, answer.text
        header, payload, _ = answer.json()["access"].split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
        claims["exp"] = int(time.time() + lifetime_s)
        signed = f"{header}.{base64_of(json.dumps(claims).encode())}"
        return f"{signed}.{base64_of(hmac.digest(SECRET_KEY.encode(), signed.encode(), 'sha256'))}"


class LabelStudioAdmin:
    """What tests do on a server besides the code under test, each a plain request.

    Args:
        url: The server's address.
        token: A legacy token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self.token = token

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, Any] | None = None,
        files: Sequence[tuple[str, Any]] | None = None,
        as_token: str | None = None,
    ) -> requests.Response:
        """One request, whatever its status."""
        return requests.request(
            method,
            self.url + path,
            json=body,
            params=query,
            files=files,
            headers={"Authorization": f"Token {as_token or self.token}"},
            timeout=REQUEST_TIMEOUT_S,
        )

    def answer(self, method: str, path: str, **options: Any) -> Any:
        """The decoded body of one request; raises with its text where the status is an error."""
        answer = self.call(method, path, **options)
        assert answer.ok, f"{method} {path} gave {answer.status_code}: {answer.text[:2000]}"
        return answer.json() if answer.content else None

    # Projects

    def create_project(
        self,
        title: str = "A project",
        config: ConfigKind = "boxes",
        *,
        labels: Sequence[str] = ("cat", "dog"),
        sampling: Sampling = "Sequential sampling",
        maximum_annotations: int = 1,
    ) -> int:
        body = {
            "title": title,
            "label_config": label_config(config, labels),
            "sampling": sampling,
            "maximum_annotations": maximum_annotations,
        }
        return int(self.answer("POST", "/api/projects/", body=body)["id"])

    def project(self, project_id: int) -> dict[str, Any]:
        return dict(self.answer("GET", f"/api/projects/{project_id}/"))

    def set_project(self, project_id: int, fields: Mapping[str, Any]) -> None:
        self.answer("PATCH", f"/api/projects/{project_id}/", body=dict(fields))

    def delete_project(self, project_id: int) -> None:
        self.answer("DELETE", f"/api/projects/{project_id}/")

    # Tasks

    def import_tasks(self, project_id: int, tasks: Sequence[str | Mapping[str, Any]]) -> list[int]:
        """Imports image names or whole data dicts; gives the tasks' ids in the same order."""
        rows = [{"data": {"image": task} if isinstance(task, str) else dict(task)} for task in tasks]
        path = f"/api/projects/{project_id}/import"
        return [int(i) for i in self.answer("POST", path, body=rows, query={"return_task_ids": "true"})["task_ids"]]

    def import_uploaded_files(self, project_id: int, paths: Sequence[Path]) -> list[int]:
        """Uploads files, 100 per call as the server takes them; gives the new tasks' ids in the order of their creation."""
        before = {task["id"] for task in self.list_tasks(project_id)}
        for start in range(0, len(paths), 100):
            chunk = [(f"file_{n}", (path.name, path.read_bytes())) for n, path in enumerate(paths[start : start + 100])]
            self.answer("POST", f"/api/projects/{project_id}/import", files=chunk)
        return [task["id"] for task in self.list_tasks(project_id) if task["id"] not in before]

    def import_local_files(self, project_id: int, folder: Path, regex: str = r".*\.(png|jpg)") -> list[int]:
        """Makes a storage of local files and syncs it; the folder lies below the server's document root."""
        before = {task["id"] for task in self.list_tasks(project_id)}
        storage = self.add_local_storage(project_id, folder, regex)
        self.answer("POST", f"/api/storages/localfiles/{storage}/sync")
        return [task["id"] for task in self.list_tasks(project_id) if task["id"] not in before]

    def add_local_storage(self, project_id: int, folder: Path, regex: str = r".*\.(png|jpg)") -> int:
        """Without a sync: `/data/local-files/?d=<path below the document root>` answers for files of the folder."""
        body = {"project": project_id, "path": str(folder), "use_blob_urls": True, "regex_filter": regex}
        return int(self.answer("POST", "/api/storages/localfiles/", body=body)["id"])

    def list_tasks(self, project_id: int, query: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """All tasks with their annotations and predictions; `query` is the Data Manager's, with filters and ordering."""
        options: dict[str, Any] = {"project": project_id, "fields": "all", "page_size": 1_000_000}
        if query is not None:
            options["query"] = json.dumps(query)
        return list(self.answer("GET", "/api/tasks", query=options)["tasks"])

    def task(self, task_id: int) -> dict[str, Any]:
        return dict(self.answer("GET", f"/api/tasks/{task_id}/"))

    def set_task(self, task_id: int, fields: Mapping[str, Any]) -> None:
        """Note that `data` is replaced as a whole."""
        self.answer("PATCH", f"/api/tasks/{task_id}/", body=dict(fields))

    def delete_task(self, task_id: int) -> None:
        self.answer("DELETE", f"/api/tasks/{task_id}/")

    def next_task(self, project_id: int, as_token: str | None = None) -> dict[str, Any] | None:
        """The task that "Label All Tasks" serves, locked for 24 h for that user; None when there is none."""
        answer = self.call("GET", f"/api/projects/{project_id}/next", as_token=as_token)
        if answer.status_code == requests.codes.not_found:
            return None
        assert answer.ok, answer.text
        return dict(answer.json())

    # Annotations and predictions

    def annotate(self, task_id: int, result: Sequence[Mapping[str, Any]] = (), *, as_token: str | None = None) -> int:
        return self._annotate(task_id, {"result": [dict(part) for part in result], "lead_time": 1.5}, as_token)

    def skip(self, task_id: int, *, as_token: str | None = None) -> int:
        return self._annotate(task_id, {"result": [], "was_cancelled": True}, as_token)

    def _annotate(self, task_id: int, body: Mapping[str, Any], as_token: str | None) -> int:
        return int(self.answer("POST", f"/api/tasks/{task_id}/annotations/", body=dict(body), as_token=as_token)["id"])

    def delete_annotation(self, annotation_id: int) -> None:
        self.answer("DELETE", f"/api/annotations/{annotation_id}/")

    def list_predictions(self, project_id: int) -> list[dict[str, Any]]:
        return list(self.answer("GET", "/api/predictions/", query={"project": project_id}))

    def import_predictions(self, project_id: int, rows: Sequence[Mapping[str, Any]]) -> int:
        """Gives how many were created: a row that the server does not like is silently dropped."""
        path = f"/api/projects/{project_id}/import/predictions"
        return int(self.answer("POST", path, body=[dict(row) for row in rows])["created"])

    # Users and tokens

    def create_access_token(self, as_token: str | None = None) -> str:
        """A personal access token of the user; any earlier one is revoked, as one user has one."""
        for earlier in self.answer("GET", "/api/token/", as_token=as_token):
            self.revoke_access_token(earlier["token"], as_token)
        return str(self.answer("POST", "/api/token/", body={}, as_token=as_token)["token"])

    def revoke_access_token(self, access_token: str, as_token: str | None = None) -> None:
        self.answer("POST", "/api/token/blacklist/", body={"refresh": access_token}, as_token=as_token)

    def invite(self, email: str, password: str = "a-password-of-tests") -> str:
        """Signs up a second user in the same organisation; gives their legacy token."""
        invitation = self.answer("GET", "/api/invite")["token"]
        with requests.Session() as session:
            path = f"{self.url}/user/signup/?token={invitation}"
            session.get(path, timeout=REQUEST_TIMEOUT_S)
            form = {"email": email, "password": password, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
            answer = session.post(
                path, data=form, headers={"Referer": path}, allow_redirects=False, timeout=REQUEST_TIMEOUT_S
            )
            assert answer.status_code == requests.codes.found, answer.text[-2000:]
            token = session.get(f"{self.url}/api/current-user/token", timeout=REQUEST_TIMEOUT_S)
            return str(token.json()["token"])

    def session(self, email: str, password: str) -> requests.Session:
        """A logged-in browser's session, which works whatever tokens are allowed; close it after use."""
        session = requests.Session()
        path = f"{self.url}/user/login/"
        session.get(path, timeout=REQUEST_TIMEOUT_S)
        form = {"email": email, "password": password, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        answer = session.post(path, data=form, headers={"Referer": path}, allow_redirects=False, timeout=REQUEST_TIMEOUT_S)
        assert answer.status_code == requests.codes.found, answer.text[-2000:]
        session.headers.update({"X-CSRFToken": session.cookies["csrftoken"], "Referer": path})
        return session


def label_config(kind: ConfigKind, labels: Sequence[str] = ("cat", "dog")) -> str:
    """The XML of a detection or a classification project on the data field `image`."""
    if kind == "boxes":
        inside = "".join(f'<Label value="{label}"/>' for label in labels)
        control = f'<RectangleLabels name="label" toName="image">{inside}</RectangleLabels>'
    else:
        inside = "".join(f'<Choice value="{label}"/>' for label in labels)
        control = f'<Choices name="cls" toName="image" choice="single">{inside}</Choices>'
    return f'<View><Image name="image" value="$image"/>{control}</View>'


def box_result(
    label: str, xywh_percent: tuple[float, float, float, float], size: tuple[int, int] = (640, 480)
) -> dict[str, Any]:
    """One rectangle as an annotator draws it: left, top, width and height in percent of the image."""
    x, y, width, height = xywh_percent
    return {
        "from_name": "label",
        "to_name": "image",
        "type": "rectanglelabels",
        "original_width": size[0],
        "original_height": size[1],
        "image_rotation": 0,
        "value": {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]},
    }


def choice_result(label: str) -> dict[str, Any]:
    """One class as an annotator picks it."""
    return {"from_name": "cls", "to_name": "image", "type": "choices", "value": {"choices": [label]}}
