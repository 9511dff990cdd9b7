"""Assignment 12: the parts of a VAE, of MAE and of a codebook: what may differ from the image, and what it costs."""

from minijepa.checks.codes.code_usage import code_usage, show_code_usage
from minijepa.checks.codes.decoder_tokens import decoder_tokens, show_decoder_tokens
from minijepa.checks.codes.gaussian_kl import gaussian_kl, show_gaussian_kl
from minijepa.checks.codes.mae_loss import mae_loss, show_mae_loss
from minijepa.checks.codes.quantise import quantise, show_quantise
from minijepa.checks.codes.sample_code import sample_code, show_sample_code

__all__ = ["gaussian_kl", "sample_code", "decoder_tokens", "mae_loss", "quantise", "code_usage"]
__all__ += ["show_gaussian_kl", "show_sample_code", "show_decoder_tokens"]
__all__ += ["show_mae_loss", "show_quantise", "show_code_usage"]
