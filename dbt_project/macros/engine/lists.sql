{# Lists: ordered aggregation and the empty list are spelled differently by each engine. #}

{% macro ordered_list(value, order_by) %}{{ return(adapter.dispatch('ordered_list')(value, order_by)) }}{% endmacro %}
{% macro duckdb__ordered_list(value, order_by) %}list({{ value }} order by {{ order_by }}){% endmacro %}
{% macro spark__ordered_list(value, order_by) %}transform(array_sort(collect_list(struct({{ order_by }}, {{ value }} as listed_value))), element -> element.listed_value){% endmacro %}

{% macro empty_strings() %}{{ return(adapter.dispatch('empty_strings')()) }}{% endmacro %}
{% macro duckdb__empty_strings() %}cast([] as varchar[]){% endmacro %}
{% macro spark__empty_strings() %}cast(array() as array<string>){% endmacro %}

{% macro empty_timestamps() %}{{ return(adapter.dispatch('empty_timestamps')()) }}{% endmacro %}
{% macro duckdb__empty_timestamps() %}cast([] as timestamp[]){% endmacro %}
{% macro spark__empty_timestamps() %}cast(array() as array<timestamp>){% endmacro %}
