-- Run once, when the PostgreSQL volume is new: a role for each part, which owns its databases and reaches no other.
\getenv airflow_password AIRFLOW_DB_PASSWORD
\getenv celery_password CELERY_DB_PASSWORD
\getenv attune_password ATTUNE_DB_PASSWORD
\getenv mlflow_password MLFLOW_DB_PASSWORD
create role airflow login password :'airflow_password';
create role celery login password :'celery_password';
create role attune login password :'attune_password';
create role mlflow login password :'mlflow_password';
create database airflow owner airflow;
create database celery owner celery;
create database attune owner attune;
create database feast owner attune;
create database mlflow owner mlflow;
revoke all on database airflow, celery, attune, feast, mlflow, postgres from public;
