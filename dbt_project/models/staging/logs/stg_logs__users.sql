with source as (

    select * from {{ source('logs', 'users') }}

),

renamed as (

    select
        user_id,
        country,
        language,
        age_band,
        gender,
        occupation,
        onboarding_item_ids,
        onboarding_categories,
        {{ utc_timestamp('signed_up_at') }} as signed_up_at,
        {{ utc_timestamp('valid_from') }} as valid_from,
        cast(dt as timestamp) as arrived_at
    from source

)

select * from renamed
