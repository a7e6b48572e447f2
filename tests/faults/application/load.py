"""How many jobs the application has; read by the experiments, which import no Django."""

EFFECT_JOBS = 3
