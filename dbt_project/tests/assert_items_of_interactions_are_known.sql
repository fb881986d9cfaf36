-- Every item of an interaction that the snapshot knows is in dim_items; later days may already be built.
with interactions as (

    select * from {{ ref('fct_interactions') }}
    where arrived_at < {{ as_of() }} and occurred_at < {{ as_of() }}

),

items as (

    select * from {{ ref('dim_items') }}

),

unknown as (

    select distinct interactions.item_id
    from interactions
    left join items
        on interactions.item_id = items.item_id
    where items.item_id is null

)

select * from unknown
