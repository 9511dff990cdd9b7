r"""TeX formulas of the notebooks as MathML, which browsers draw by themselves: no script, no fonts, no network.

    mathml(r"\hat s_y = g_\phi(s_x)")

It knows the part of TeX that the course writes, and refuses the rest, so that no formula reaches a slide half drawn.
"""

import re
from html import escape

SYMBOLS = dict(
    alpha="α", beta="β", gamma="γ", delta="δ", epsilon="ε", eta="η", theta="θ", lambda_="λ", mu="μ", xi="ξ", pi="π",
    rho="ρ", sigma="σ", tau="τ", phi="φ", psi="ψ", omega="ω", Sigma="Σ", Delta="Δ", Phi="Φ", cdot="·", cdots="⋯",
    ldots="…", dots="…", times="×", pm="±", le="≤", leq="≤", ge="≥", geq="≥", ne="≠", neq="≠", approx="≈", sim="∼",
    propto="∝", infty="∞", partial="∂", nabla="∇", in_="∈", to="→", leftarrow="←", rightarrow="→", top="⊤", mid="|",
    Vert="‖", lVert="‖", rVert="‖", vert="|", langle="⟨", rangle="⟩", lfloor="⌊", rfloor="⌋", ll="≪", gg="≫", ell="ℓ",
    int="∫", prime="′", cup="∪", cap="∩",
)  # fmt: skip
IDENTIFIERS = set("αβγδεηθλμξπρστφψωΣΔΦ∞ℓ")
LIMITS = dict(sum="∑", prod="∏", min="min", max="max", arg="arg", lim="lim")  # what stands below and above them
FUNCTIONS = {"log", "ln", "exp", "sin", "cos", "tr", "sg", "det", "logdet", "diag", "softmax", "mean"}
ACCENTS = dict(hat="^", bar="¯", tilde="~", dot="˙", vec="→", overline="¯")
SPACES = {",": 0.17, ";": 0.28, ":": 0.22, " ": 0.25, "!": -0.17, "quad": 1.0, "qquad": 2.0}
STYLES = dict(mathbb=dict(R="ℝ", E="𝔼", N="ℕ", P="ℙ", Z="ℤ"), mathcal=dict(L="ℒ", N="𝒩", H="ℋ", D="𝒟", Z="𝒵", P="𝒫"))
WORDS = {"text", "mathrm", "operatorname", "textbf", "mathbf", "mathit", "textit"}
TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|\d+(?:\.\d+)?|\s+|.", re.S)


def operator(mark, stretchy=True):
    """An operator or a bracket; one that is not stretchy keeps its size next to a tall formula."""
    return f"<mo>{escape(mark)}</mo>" if stretchy else f'<mo stretchy="false">{escape(mark)}</mo>'


class Formula:
    """The tokens of one formula, read from left to right."""

    def __init__(self, tex):
        self.tex, self.tokens, self.at = tex, TOKEN.findall(tex), 0

    def fail(self, token):
        raise ValueError(f"{token!r} in ${self.tex}$ is TeX that tools/slides/mathml.py does not know: add it there")

    def peek(self):
        while self.at < len(self.tokens) and self.tokens[self.at].isspace():
            self.at += 1
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def take(self):
        token = self.peek()
        if token is None:
            self.fail("the end")
        self.at += 1
        return token

    def row(self, end=None):
        """Everything up to a token `end`, which is taken too."""
        parts = []
        while self.peek() != end:
            if self.peek() is None:
                self.fail("the end")
            parts.append(self.scripted())
        self.at += end is not None
        return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"

    def scripted(self):
        """One atom with what stands below and above it."""
        limits = (self.peek() or "")[1:] in {*LIMITS, "underbrace"}
        base, below, above = self.atom(), None, None
        while self.peek() in ("_", "^", "'"):
            mark = self.take()
            if mark == "'":
                above = (above or "") + '<mo class="prime">′</mo>'
            elif mark == "_":
                below = self.argument()
            else:
                above = (above or "") + self.argument()
        above = f"<mrow>{above}</mrow>" if above and above.count("</m") > 1 and above[:5] != "<mrow" else above
        under, over, both = ("munder", "mover", "munderover") if limits else ("msub", "msup", "msubsup")
        if below and above:
            return f"<{both}>{base}{below}{above}</{both}>"
        return f"<{under}>{base}{below}</{under}>" if below else f"<{over}>{base}{above}</{over}>" if above else base

    def argument(self):
        """What a command or a mark takes: braces, or a single digit or letter, as in a half without braces."""
        token = self.peek() or ""
        if len(token) > 1 and token[0].isdigit():
            self.tokens[self.at : self.at + 1] = [token[0], token[1:]]
        return self.atom()

    def raw(self):
        """The characters between braces, as they are."""
        if self.take() != "{":
            self.fail(self.tokens[self.at - 1])
        start = self.at
        while self.at < len(self.tokens) and self.tokens[self.at] != "}":
            self.at += 1
        self.at += 1
        return "".join(self.tokens[start : self.at - 1])

    def atom(self):
        token = self.take()
        if token == "{":
            return self.row("}")
        if token[0] == "\\" and len(token) > 1:
            return self.command(token[1:])
        if token[0].isdigit():
            return f"<mn>{token}</mn>"
        if token.isalpha():
            return f"<mi>{token}</mi>"
        if token in "}^_&#%~$":
            self.fail(token)
        return operator(token.replace("-", "−"), stretchy=token not in "()[]|")

    def command(self, name):
        if name in SPACES:
            return f'<mspace width="{SPACES[name]}em"/>'
        if name in ("frac", "tfrac", "dfrac"):
            return f"<mfrac>{self.argument()}{self.argument()}</mfrac>"
        if name == "sqrt":
            return f"<msqrt>{self.argument()}</msqrt>"
        if name in ACCENTS:
            return f'<mover accent="true">{self.argument()}<mo stretchy="false">{ACCENTS[name]}</mo></mover>'
        if name == "underbrace":
            return f"<munder>{self.argument()}<mo>⏟</mo></munder>"
        if name in ("left", "right", "big", "Big", "bigg", "bigl", "bigr", "Bigl", "Bigr"):
            token = self.take()
            mark = SYMBOLS.get(token[1:], {"|": "‖"}.get(token[1:], token[1:])) if token[0] == "\\" else token
            return "<mo></mo>" if token == "." else f"<mo>{escape(mark)}</mo>"
        if name in STYLES:
            braced = self.peek() == "{"
            letters = self.raw() if braced else self.take()
            return "".join(f"<mi>{STYLES[name].get(letter) or self.fail(letter)}</mi>" for letter in letters)
        if name in WORDS:
            return f"<mtext>{escape(self.raw())}</mtext>"
        if name in LIMITS:
            return f'<mo movablelimits="true">{LIMITS[name]}</mo>'
        if name in FUNCTIONS:
            return f"<mi>{name}</mi><mspace width='0.17em'/>"
        if name in "|{}%&_$#":
            return operator(name.replace("|", "‖"), stretchy=False)
        symbol = SYMBOLS.get(name) or SYMBOLS.get(name + "_") or self.fail("\\" + name)
        return f"<mi>{symbol}</mi>" if symbol in IDENTIFIERS else f"<mo>{escape(symbol)}</mo>"


def mathml(tex, display=False):
    """A formula, without its dollars, as one <math> element; its TeX is the alternative text.

    Raises ValueError for TeX that the course does not use.
    """
    kind = ' display="block"' if display else ""
    return f'<math{kind} alttext="{escape(tex.strip())}">{Formula(tex).row()}</math>'
