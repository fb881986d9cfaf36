{#
    Spark writes a microbatch by overwriting the days that it has rows for; a day of the batch that lost all its rows
    would keep the old ones, where DuckDB deletes the whole batch first. So this replaces the adapter's macro of the
    same name, which DuckDB never calls, and drops such days.
#}
{% macro get_insert_overwrite_sql(source_relation, target_relation, existing_relation) -%}
{%- do drop_emptied_days(source_relation, target_relation) -%}
{%- set columns = adapter.get_columns_in_relation(target_relation) | map(attribute='quoted') | join(', ') -%}
insert overwrite table {{ target_relation }} partition (arrived_at)
select {{ columns }} from {{ source_relation }}
{%- endmacro %}

{% macro drop_emptied_days(source_relation, target_relation) -%}
{%- set emptied_days -%}
select distinct cast(arrived_at as string) from {{ target_relation }}
where
    arrived_at >= timestamp'{{ model.batch.event_time_start }}'
    and arrived_at < timestamp'{{ model.batch.event_time_end }}'
    and arrived_at not in (select arrived_at from {{ source_relation }})
{%- endset -%}
{%- for row in run_query(emptied_days) -%}
{%- do run_query("alter table " ~ target_relation ~ " drop partition (arrived_at = timestamp'" ~ row[0] ~ "')") -%}
{%- endfor -%}
{%- endmacro %}
