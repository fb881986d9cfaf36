-- Every user of an interaction that the snapshot knows is in dim_users; later days may already be built.
with interactions as (

    select * from {{ ref('fct_interactions') }}
    where arrived_at < {{ as_of() }} and occurred_at < {{ as_of() }}

),

users as (

    select * from {{ ref('dim_users') }}

),

unknown as (

    select distinct interactions.user_id
    from interactions
    left join users
        on interactions.user_id = users.user_id
    where users.user_id is null

)

select * from unknown
