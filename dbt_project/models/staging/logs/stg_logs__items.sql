with source as (

    select * from {{ source('logs', 'items') }}

),

renamed as (

    select
        item_id,
        category,
        subcategory,
        title,
        attributes,
        {{ utc_timestamp('created_at') }} as created_at,
        cast(dt as timestamp) as arrived_at
    from source

)

select * from renamed
