variable "name" {
  description = "Of the bucket, the policy and the replication group."
  type        = string
  default     = "darkroom"
}

variable "subnet_ids" {
  description = "Private subnets, at least two, in different zones."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Let front doors and workers in at port 6379, and nobody else."
  type        = list(string)
}

variable "redis_node_type" {
  description = "A million open jobs of 1 KB need about 4 GB."
  type        = string
  default     = "cache.r7g.large"
}

variable "redis_password" {
  description = "Of the user darkroom; at least 16 characters."
  type        = string
  sensitive   = true
}
