output "bucket" {
  description = "DARKROOM_STORAGE__BUCKET"
  value       = aws_s3_bucket.images.bucket
}

output "policy_arn" {
  description = "For the role of front doors and workers."
  value       = aws_iam_policy.images.arn
}

output "redis_url" {
  description = "DARKROOM_REDIS_URL, with the password to be put in."
  value       = "rediss://darkroom:PASSWORD@${aws_elasticache_replication_group.redis.primary_endpoint_address}:6379/0"
}
