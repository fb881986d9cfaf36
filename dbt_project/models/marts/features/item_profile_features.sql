with items as (

    select * from {{ ref('dim_items') }}

),

profiles as (

    select
        item_id,
        {{ as_of() }} as event_timestamp,
        coalesce(category, 'unknown') as category,
        coalesce(subcategory, 'unknown') as subcategory,
        coalesce(title, 'unknown') as title,
        coalesce(attributes, {{ empty_strings() }}) as attributes,
        round(greatest({{ days_between('known_since', as_of()) }}, 0.0), 6) as age_days
    from items

)

select * from profiles
