with users as (

    select * from {{ ref('dim_users') }}

),

profiles as (

    select
        user_id,
        {{ as_of() }} as event_timestamp,
        coalesce(country, 'unknown') as country,
        coalesce(language, 'unknown') as language,
        coalesce(age_band, 'unknown') as age_band,
        coalesce(gender, 'unknown') as gender,
        coalesce(occupation, 'unknown') as occupation,
        cast(floor(greatest({{ days_between('known_since', as_of()) }}, 0)) as bigint) as tenure_days,
        coalesce(onboarding_item_ids, {{ empty_strings() }}) as onboarding_item_ids,
        coalesce(onboarding_categories, {{ empty_strings() }}) as onboarding_categories
    from users

)

select * from profiles
