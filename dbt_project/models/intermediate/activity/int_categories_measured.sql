with interactions as (

    select * from {{ ref('int_interactions_joined') }}
    where category is not null

),

category_counts as (

    select
        user_id,
        category,
        cast(count(*) as double) as count_events
    from interactions
    group by user_id, category

),

category_shares as (

    select
        user_id,
        count_events / sum(count_events) over (partition by user_id) as share
    from category_counts

),

measured as (

    select
        user_id,
        count(*) as count_categories,
        -- Adding zero turns the -0.0 of a single category into 0.0.
        round(-sum(share * ln(share)), 6) + 0.0 as category_entropy
    from category_shares
    group by user_id

)

select * from measured
