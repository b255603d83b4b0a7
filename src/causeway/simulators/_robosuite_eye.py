"""What the cameras of a `robosuite` world see: MuJoCo's pictures and depth, with the look of a preset."""

import math
from ctypes.util import find_library
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError
from ._robosuite_presets import Camera, Look

Library = Literal["egl", "osmesa"]
PACKAGES = {"egl": "libegl1 libgl1-mesa-dri", "osmesa": "libosmesa6"}
ROLES = {  # of a texture, by a part of its name; all others are things to handle
    "floor": ("texplane",),
    "wall": ("plaster",),
    "surface": ("tex-ceramic", "tex-light-wood", "tex-dark-wood"),
    "": ("steel-brushed", "textable", "skybox"),
}
WRIST = "eye_in_hand"  # cameras on the arm are where they are in both presets
GEOMS = 2000  # most that a scene can hold
TABLE = (0.0, 0.0, 0.8)  # its middle


class Eye:
    """Renders the named cameras of one MuJoCo model."""

    def __init__(
        self, model: Any, cameras: tuple[str, ...], height: int, width: int, look: Look, library: Library, fast: bool
    ):
        import mujoco

        self.mujoco, self.model, self.look, self.height, self.width = mujoco, model, look, height, width
        model.vis.quality.offsamples = 0 if fast else model.vis.quality.offsamples
        model.vis.quality.shadowsize = 1024
        frame = model.vis.global_
        frame.offwidth, frame.offheight = max(frame.offwidth, width), max(frame.offheight, height)
        self.context = _context(library, width, height)
        self.context.make_current()
        self.gpu = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.gpu)
        self.gpu.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self.scene, self.shown = mujoco.MjvScene(model, GEOMS), mujoco.MjvOption()
        self.shown.geomgroup[0] = 0  # what collides, and is not meant to be seen
        self.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = not fast
        self.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = look.shadows
        self.views = []
        for name in cameras:
            view = mujoco.MjvCamera()
            view.type = mujoco.mjtCamera.mjCAMERA_FIXED
            view.fixedcamid = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
            self.views.append(view)
        self.depths = np.empty((len(cameras), height, width), np.float32)  # of the pictures last seen, in metres

    def see(self, data: Any, random: np.random.Generator, depth: bool = False) -> NDArray[np.uint8]:
        """(V, 3, H, W): what the cameras show now; with ``depth``, ``depths`` then holds how far each pixel is."""
        mujoco, rectangle = self.mujoco, self.mujoco.MjrRect(0, 0, self.width, self.height)
        self.context.make_current()  # there may be another eye
        pictures = np.empty((len(self.views), self.height, self.width, 3), np.uint8)
        for view, picture, far in zip(self.views, pictures, self.depths):
            everything = mujoco.mjtCatBit.mjCAT_ALL
            mujoco.mjv_updateScene(self.model, data, self.shown, None, view, everything, self.scene)
            mujoco.mjr_render(rectangle, self.scene, self.gpu)
            mujoco.mjr_readPixels(picture, far if depth else None, rectangle, self.gpu)
        if depth:
            self.depths = self._metres(self.depths[:, ::-1])
        seen = _sensed(pictures[:, ::-1], self.look, random)  # OpenGL counts rows from below
        return np.ascontiguousarray(seen.transpose(0, 3, 1, 2))

    def _metres(self, depth: NDArray[np.float32]) -> NDArray[np.float32]:
        """From the depth buffer, whose 0 is far, to distances along the optical axis."""
        near, far = (zed * self.model.stat.extent for zed in (self.model.vis.map.znear, self.model.vis.map.zfar))
        return np.ascontiguousarray(near * far / (near + depth * (far - near)), np.float32)

    def lens(self, data: Any, view: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The intrinsics (3, 3) in pixels of a camera, and its pose (4, 4), optical frame to world."""
        number = self.views[view].fixedcamid
        focal = self.height / 2 / math.tan(math.radians(self.model.cam_fovy[number]) / 2)
        intrinsics = np.array([[focal, 0, self.width / 2], [0, focal, self.height / 2], [0, 0, 1]])
        pose = np.eye(4)
        pose[:3, :3] = data.cam_xmat[number].reshape(3, 3) * [1, -1, -1]  # MuJoCo's cameras look along -z, y up
        pose[:3, 3] = data.cam_xpos[number]
        return intrinsics, pose


def aim(model: Any, camera: Camera, names: tuple[str, ...]) -> None:
    """Move the cameras of the room off their places."""
    import mujoco

    for name in names:
        number = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
        if WRIST in name:
            continue
        model.cam_pos[number] += (camera.back_m, camera.left_m, camera.up_m)
        turned = np.empty(4)
        for axis, angle in ((0, camera.pitch_rad), (1, camera.yaw_rad)):
            turn = np.zeros(4)
            turn[0], turn[1 + axis] = math.cos(angle / 2), math.sin(angle / 2)
            mujoco.mju_mulQuat(turned, model.cam_quat[number], turn)
            model.cam_quat[number] = turned
        model.cam_fovy[number] += math.degrees(camera.view_rad)


def refuse_blind(library: Library) -> None:
    """Raises ConfigError that names the packages of Debian to install, where there is no such library."""
    if find_library({"egl": "EGL", "osmesa": "OSMesa"}[library]) is None:
        raise ConfigError(_advice(library, "there is no such library"))


def _advice(library: Library, why: str) -> str:
    other = "osmesa" if library == "egl" else "egl"
    return (
        f"robosuite cannot render by gl = '{library}': {why}. Install Debian's {PACKAGES[library]}, or set "
        f"gl = '{other}', which needs {PACKAGES[other]}."
    )


def _context(library: Library, width: int, height: int) -> Any:
    """A place to render in without a screen."""
    try:
        if library == "egl":
            from mujoco.egl import GLContext
        else:
            from mujoco.osmesa import GLContext
        return GLContext(width, height)
    except Exception as error:  # what is raised depends on how far the library gets
        raise ConfigError(_advice(library, f"{type(error).__name__}: {error}")) from None


def paint(model: Any, look: Look) -> None:
    """Tint the materials, draw grain into the textures and set the light: once, before anything is rendered."""
    import mujoco

    random = np.random.default_rng(0)
    role_of = {}
    for number in range(model.ntex):
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_TEXTURE, number) or "skybox"
        role_of[number] = next((role for role, parts in ROLES.items() if any(p in name for p in parts)), "object")
        role_of[number] = "object" if name.split("_")[0][:1].isupper() or "cube" in name else role_of[number]
        if look.grain and role_of[number] in ("floor", "wall", "surface"):
            _draw_grain(model, number, look.grain, random)
    for number in range(model.nmat):
        name = mujoco.mj_id2name(model, mujoco.mjtObj.mjOBJ_MATERIAL, number) or ""
        texture = int(model.mat_texid[number].max())
        role = "robot" if name.startswith(("robot", "gripper")) else role_of.get(texture, "")
        if role:
            model.mat_rgba[number, :3] *= getattr(look, role)
    model.light_diffuse *= look.light
    if look.lamp_left_m:  # it goes on shining on the middle of the table
        model.light_pos[:, 1] += look.lamp_left_m
        model.light_dir[:] = TABLE - model.light_pos
        model.light_dir[:] /= np.linalg.norm(model.light_dir, axis=1, keepdims=True)
    for part in (model.vis.headlight.ambient, model.vis.headlight.diffuse):
        part *= look.ambient


def _draw_grain(model: Any, number: int, strength: float, random: np.random.Generator) -> None:
    """Stripes that waver, and blotches, over the pixels of a texture."""
    height, width, channels = (getattr(model, f"tex_{part}")[number] for part in ("height", "width", "nchannel"))
    start = model.tex_adr[number]
    pixels = model.tex_data[start : start + height * width * channels].reshape(height, width, channels)
    y, x = np.mgrid[0:height, 0:width] / max(width, 1)
    coarse = random.normal(size=(2, 9, 9))
    rows, columns = np.minimum((y * 8).astype(int) % 8, 8), np.minimum((x * 8).astype(int) % 8, 8)
    u, v = y * 8 % 1, x * 8 % 1
    smooth = [
        c[rows, columns] * (1 - u) * (1 - v)
        + c[rows + 1, columns] * u * (1 - v)
        + c[rows, columns + 1] * (1 - u) * v
        + c[rows + 1, columns + 1] * u * v
        for c in coarse
    ]
    pattern = 0.6 * np.sin(2 * np.pi * (14 * x + 1.5 * smooth[0])) + 0.6 * smooth[1]
    pixels[:] = (pixels * (1 + strength * pattern[:, :, None])).clip(0, 255)


def _sensed(pictures: NDArray[np.uint8], look: Look, random: np.random.Generator) -> NDArray[np.uint8]:
    """(V, H, W, 3) as the camera of ``look`` would give them: lens, gain, cast, noise."""
    if (look.exposure, look.warmth, look.blur, look.noise) == (1, 0, 0, 0):
        return pictures
    seen = pictures.astype(np.float32) / 255
    if look.blur:
        part = look.blur * pictures.shape[1] / 100  # a kernel of three: (part, 2, part) / (2 + 2 part)
        for axis in (1, 2):
            ends = [(1, 1) if a == axis else (0, 0) for a in range(4)]
            before, after = (np.take(np.pad(seen, ends, "edge"), at, axis) for at in _neighbours(seen.shape[axis]))
            seen = (2 * seen + part * (before + after)) / (2 + 2 * part)
    seen *= look.exposure * np.array([1 + look.warmth, 1, 1 - look.warmth], np.float32)
    seen += random.normal(0, look.noise, seen.shape).astype(np.float32)
    return (seen.clip(0, 1) * 255).round().astype(np.uint8)


def _neighbours(length: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each of ``length`` places finds the one before and after it, once one was added at either end."""
    return np.arange(length), np.arange(2, length + 2)
