"""OutlierDetection: when an endpoint that fails is left out for a while.

Sources: istio pkg/config/validation/validation.go (`validateOutlierDetection`),
pilot/pkg/networking/core/cluster_traffic_policy.go (`applyOutlierDetection`).
"""

from __future__ import annotations

from typing import Any

from mirror_proxy.config.istio.fields import Unheeded, go_duration
from mirror_proxy.config.model import OutlierDetection
from mirror_proxy.config.schema import BOOLEAN, Field, Record, Scalar, whole

UNSPLIT = (
    "outlier detection consecutive local origin failures is specified,"
    " but split external local origin errors is set to false"
)
CONSECUTIVE_ERRORS = (
    "outlier detection consecutive errors is deprecated,"
    " use consecutiveGatewayErrors or consecutive5xxErrors instead"
)
ERROR_CODES = "has no effect: every 5xx counts, and nothing else"


def _outlier(
    max_ejection_percent: int = 0,
    consecutive_local_origin: int = 0,
    *,
    splits_local_origin: bool = False,
    **values: Any,
) -> dict[str, Any]:
    """Return what the component says of a Cluster; what is 0 there because it is unset keeps its default."""
    if consecutive_local_origin and not splits_local_origin:
        raise ValueError(UNSPLIT)
    if consecutive_local_origin:
        values["consecutive_local_origin"] = consecutive_local_origin
    if max_ejection_percent:
        values["max_ejection_percent"] = max_ejection_percent
    return {"outlier": OutlierDetection(splits_local_origin=splits_local_origin, **values)}


def _percent(value: int) -> int:
    if not 0 <= value <= 100:
        raise ValueError(f"percentage {value} is not in range 0..100")
    return value


COUNT = whole(0, 2**32 - 1)
PERCENT = Scalar(("integer",), _percent)
OUTLIER_DETECTION = Record(
    _outlier,
    (
        Field("consecutive5xxErrors", "consecutive_5xx", COUNT),
        Field("consecutiveGatewayErrors", "consecutive_gateway", COUNT),
        Field("consecutiveLocalOriginFailures", "consecutive_local_origin", COUNT),
        Field("splitExternalLocalOriginErrors", "splits_local_origin", BOOLEAN),
        Field("interval", "interval_s", go_duration()),
        Field("baseEjectionTime", "base_ejection_s", go_duration()),
        Field("maxEjectionPercent", "max_ejection_percent", PERCENT),
        Field("minHealthPercent", "min_health_percent", PERCENT),
        Field("consecutiveErrors", "", Unheeded(CONSECUTIVE_ERRORS)),
        Field("outlierDetectionHttpErrorCodes", "", Unheeded(ERROR_CODES)),
    ),
    is_proto=True,
)
