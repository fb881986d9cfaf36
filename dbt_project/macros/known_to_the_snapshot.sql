{# What an interaction of the snapshot names is in its dimension; later days may be built. Fails with unknown ids. #}
{% test known_to_the_snapshot(model, column_name, dimension) %}
with interactions as (

    select * from {{ model }}
    where arrived_at < {{ as_of() }} and occurred_at < {{ as_of() }}

),

known as (

    select * from {{ dimension }}

),

unknown as (

    select distinct interactions.{{ column_name }}
    from interactions
    left join known
        on interactions.{{ column_name }} = known.{{ column_name }}
    where known.{{ column_name }} is null

)

select * from unknown
{% endtest %}
