{# Timestamps are UTC, microseconds, without a zone inside the warehouse: the one form that both engines share. #}

{% macro utc_timestamp(expression) %}{{ return(adapter.dispatch('utc_timestamp')(expression)) }}{% endmacro %}
{% macro default__utc_timestamp(expression) %}cast({{ expression }} as timestamp){% endmacro %}
{% macro duckdb__utc_timestamp(expression) %}cast(timezone('UTC', {{ expression }}) as timestamp){% endmacro %}

{% macro seconds_between(start, stop) %}{{ return(adapter.dispatch('seconds_between')(start, stop)) }}{% endmacro %}
{% macro duckdb__seconds_between(earlier, later) %}(
    date_diff('microsecond', {{ earlier }}, {{ later }}) / 1000000.0
){% endmacro %}
{% macro spark__seconds_between(earlier, later) %}(
    (unix_micros({{ later }}) - unix_micros({{ earlier }})) / 1e6
){% endmacro %}

{% macro days_between(earlier, later) %}({{ seconds_between(earlier, later) }} / 86400.0){% endmacro %}

{% macro epoch_seconds(expression) %}{{ return(adapter.dispatch('epoch_seconds')(expression)) }}{% endmacro %}
{% macro duckdb__epoch_seconds(expression) %}cast(floor(epoch({{ expression }})) as bigint){% endmacro %}
{% macro spark__epoch_seconds(expression) %}unix_seconds({{ expression }}){% endmacro %}

{% macro is_weekend(expression) %}{{ return(adapter.dispatch('is_weekend')(expression)) }}{% endmacro %}
{% macro duckdb__is_weekend(expression) %}(isodow({{ expression }}) >= 6){% endmacro %}
{% macro spark__is_weekend(expression) %}(weekday({{ expression }}) >= 5){% endmacro %}
