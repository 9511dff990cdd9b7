"""PlanExplorer: choose where the dot is and where it should go, and look into the planner at every step."""

import ipywidgets
import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw

from minijepa.plots.figures import BLUE, GREEN, ORANGE, RED
from minijepa.plots.planning import as_picture
from minijepa.plots.widgets import canvas
from minijepa.plots.widgets.explorer import Explorer

SIDE = 260  # pixels of a panel


class PlanExplorer(Explorer):
    """One episode of model-predictive control, step by step: the plan, the energy of the first action, the outlook.

    planner: a `Planner` whose model sees images, with a learned encoder. world: a TwoRooms with one wall.
    decoder: a `Decoder`, to draw the end of the plan; None leaves the panel out. steps: of an episode.
    goals, starts: the places to choose from, a list of (x, y) each. A state that was reached is remembered, so the
    next step costs one search of one episode.
    Positions on the map are read off the latents by a linear map, fitted here to frames of the world.
    """

    alt = (
        "A room with a wall: the path so far, the imagined plan and the goal; next to it the energy over the first "
        "action, dark where it is low."
    )

    def __init__(self, planner, world, goals, starts, decoder=None, steps=30):
        self.planner, self.world, self.decoder = planner, world, decoder
        self.goals, self.starts, last = list(goals), list(starts), len(goals) - 1
        self.wall = world.walls(1, torch.Generator())
        side = torch.linspace(0.02, 0.98, 25)
        places = torch.cartesian_prod(side, side)  # [625, 2]
        with torch.no_grad():
            z = planner.model.encode(world.render(places, self.wall))
        self.to_place = torch.linalg.lstsq(with_one(z), places).solution  # [D + 1, 2]
        across = torch.linspace(-world.max_step, world.max_step, 15)
        self.first = torch.stack(torch.meshgrid(across, across.flip(0), indexing="xy"), dim=-1)  # rows a_y downwards
        self.memory = {}
        self.examples = [
            (f"goal {say(self.goals[0])}, at the start", {"goal": 0, "start": 0, "step": 0}),
            (f"goal {say(self.goals[0])}, step {steps // 3}", {"goal": 0, "start": 0, "step": steps // 3}),
            (
                f"goal {say(self.goals[-1])}, step {steps // 2}",
                {"goal": last, "start": 0, "step": steps // 2},
            ),
        ]
        super().__init__(
            goal=ipywidgets.SelectionSlider(options=[(say(g), i) for i, g in enumerate(self.goals)], value=0),
            start=ipywidgets.SelectionSlider(options=[(say(s), i) for i, s in enumerate(self.starts)], value=0),
            step=ipywidgets.IntSlider(0, 0, steps),
        )

    def episode(self, goal, start, step):
        """The states (position, plan, mean of the search) of steps 0 to `step`; only what is new is computed."""
        if (goal, start) not in self.memory:
            self.memory = {(goal, start): []}  # one episode is remembered
        states = self.memory[goal, start]
        planner, place = self.planner, torch.tensor([self.goals[goal]])
        if not states:
            planner.begin(self.world.render(place, self.wall))
        position = torch.tensor([self.starts[start]]) if not states else states[-1][2]
        while len(states) <= step:
            action = planner.act(self.world.render(position, self.wall))
            states.append((position, planner.found.plan, self.world.step(position, action, self.wall)))
            position = states[-1][2]
        return states[: step + 1]

    @torch.no_grad()
    def draw(self, goal, start, step):
        """Picture and sentence of one step of one episode."""
        states = self.episode(goal, start, step)
        position, plan, _ = states[-1]
        z = self.planner.model.encode(self.world.render(position, self.wall))  # [1, D]
        imagined = self.planner.imagine(z, plan[:, None])[0, 0]  # [H, D]
        path = torch.cat([s[0] for s in states])
        room = self.room(path, with_one(imagined) @ self.to_place, torch.tensor(self.goals[goal]))
        tried = plan[:, None].expand(1, self.first.numel() // 2, *plan.shape[1:]).clone()
        tried[0, :, 0] = self.first.flatten(0, 1)
        energy = self.planner.energy(z, tried)[0].view(self.first.shape[:2])  # [15, 15]
        parts = [
            canvas.panel(room, "the room"),
            canvas.panel(heat(energy.numpy()), "energy of the first action"),
        ]
        if self.decoder is not None:
            frame = self.decoder.decode(imagined[-1:])[0].clamp(0, 1)
            pixels = (255 * as_picture(frame)).byte().movedim(-1, 0)  # [3, S, S]
            parts.append(canvas.panel(canvas.enlarge(pixels, SIDE // 2), "end of the plan"))
        distance = (position - torch.tensor(self.goals[goal])).norm().item()
        word = "within reach" if distance <= self.world.reach else "not within reach"
        sentence = (
            f"Step {step}: path in blue, plan as imagined in orange, goal in green; energies with a_x across and a_y "
            f"upwards. The dot is {distance:.2f} from the goal ({word}); next action "
            f"({plan[0, 0, 0]:.2f}, {plan[0, 0, 1]:.2f})."
        )
        return canvas.side_by_side(parts), sentence

    def room(self, path, plan, goal):
        """The map: wall, goal, path so far, imagined places at the end of each hold."""
        picture = Image.new("RGB", (SIDE, SIDE), "white")
        pen = ImageDraw.Draw(picture)
        at = lambda p: (float(p[0]) * SIDE, (1 - float(p[1])) * SIDE)  # noqa: E731
        x, low, high = self.wall[0].tolist()
        for bottom, top in ((0, low), (high, 1)):
            pen.line([at((x, bottom)), at((x, top))], fill="#333333", width=8)
        dot(pen, at(goal), self.world.reach * SIDE, GREEN)
        pen.line([at(path[-1])] + [at(p) for p in plan], fill=ORANGE, width=2)
        for p in plan:
            dot(pen, at(p), 4, ORANGE)
        if len(path) > 1:
            pen.line([at(p) for p in path], fill=BLUE, width=3)
        dot(pen, at(path[-1]), 7, BLUE)
        return picture


def with_one(z):
    """z with a constant 1 as its last feature: [M, D] -> [M, D + 1]."""
    return torch.cat([z, torch.ones(len(z), 1)], dim=1)


def say(place):
    """A place in words."""
    return f"({place[0]:.2g}, {place[1]:.2g})"


def dot(pen, centre, radius, colour):
    """A disc; radius in pixels."""
    x, y = centre
    pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)


def heat(energy):
    """A map as a picture of SIDE pixels, with a red frame at its lowest point."""
    scaled = (energy - energy.min()) / ((energy.max() - energy.min()) or 1)
    colours = (matplotlib.colormaps["viridis"](scaled)[..., :3] * 255).astype(np.uint8)
    picture = Image.fromarray(colours).resize((SIDE, SIDE), Image.Resampling.NEAREST)
    row, column = np.unravel_index(energy.argmin(), energy.shape)
    canvas.outline(picture, (row, column, 1, 1), energy.shape, RED)
    return picture
