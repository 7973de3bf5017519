# Cluster mode stays off: one step touches keys of many slots.
#
# ElastiCache keeps no append-only file, so that an accepted job is as safe as the
# replica: a submission is answered when a replica has it (DARKROOM_DURABILITY=replicated),
# and the missing file is accepted with DARKROOM_UNSAFE=true. Who wants a file as well
# runs Valkey on a machine with a disk of its own, with ../redis/valkey.conf.
resource "aws_elasticache_parameter_group" "redis" {
  name   = var.name
  family = "valkey8"

  parameter {
    name  = "maxmemory-policy"
    value = "noeviction"
  }

  parameter {
    name  = "min-replicas-to-write"
    value = "1"
  }

  parameter {
    name  = "min-replicas-max-lag"
    value = "5"
  }
}

resource "aws_elasticache_subnet_group" "redis" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

# As ../redis/users.acl. The default user of the service cannot be left out; this one
# may do nothing.
resource "aws_elasticache_user" "nobody" {
  user_id       = "${var.name}-nobody"
  user_name     = "default"
  engine        = "valkey"
  access_string = "off ~* -@all"

  authentication_mode {
    type = "no-password-required"
  }
}

resource "aws_elasticache_user" "darkroom" {
  user_id       = var.name
  user_name     = "darkroom"
  engine        = "valkey"
  access_string = "on ~darkroom:* &darkroom:* +@all -@dangerous +info +role"

  authentication_mode {
    type      = "password"
    passwords = [var.redis_password]
  }
}

resource "aws_elasticache_user_group" "darkroom" {
  user_group_id = var.name
  engine        = "valkey"
  user_ids      = [aws_elasticache_user.nobody.user_id, aws_elasticache_user.darkroom.user_id]
}

resource "aws_elasticache_replication_group" "redis" {
  replication_group_id       = var.name
  description                = "Records and queue of Darkroom"
  engine                     = "valkey"
  engine_version             = "8.0"
  node_type                  = var.redis_node_type
  num_cache_clusters         = 3
  automatic_failover_enabled = true
  multi_az_enabled           = true
  at_rest_encryption_enabled = true
  transit_encryption_enabled = true
  parameter_group_name       = aws_elasticache_parameter_group.redis.name
  subnet_group_name          = aws_elasticache_subnet_group.redis.name
  security_group_ids         = var.security_group_ids
  user_group_ids             = [aws_elasticache_user_group.darkroom.user_group_id]
  snapshot_retention_limit   = 7
}
