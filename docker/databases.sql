-- Run once, when the PostgreSQL volume is new: one database for each owner of a schema.
create database airflow;
create database feast;
create database mlflow;
