{# The first instant of the microbatch in hand; without one (a unit test), the beginning of time. #}
{% macro batch_start() -%}
{%- if model.batch -%}
cast('{{ model.batch.event_time_start.strftime('%Y-%m-%d %H:%M:%S') }}' as timestamp)
{%- else -%}
cast('1970-01-01 00:00:00' as timestamp)
{%- endif -%}
{%- endmacro %}
