{# The exclusive upper bound of what the partition's snapshot may know: the next day's 00:00 UTC. #}
{% macro as_of() -%}
{%- set day = modules.datetime.datetime.strptime(var('partition'), '%Y-%m-%d') + modules.datetime.timedelta(days=1) -%}
cast('{{ day.strftime('%Y-%m-%d') }} 00:00:00' as timestamp)
{%- endmacro %}

{# The first instant of a window of whole days that ends at as_of; inclusive. #}
{% macro window_start(days) -%}
({{ as_of() }} - interval {{ days }} day)
{%- endmacro %}

{# Counts the rows of a window; `condition` narrows them. Null occurred_at (no event) counts nothing. #}
{% macro count_window(days, condition='true') -%}
count(case when occurred_at >= {{ window_start(days) }} and {{ condition }} then 1 end)
{%- endmacro %}

{# A share of rows in [0, 1], rounded so that equal inputs give equal bytes; 0 when there are no rows. #}
{% macro share(condition) -%}
coalesce(round(cast(count(case when {{ condition }} then 1 end) as double) / nullif(count(occurred_at), 0), 6), 0.0)
{%- endmacro %}
