resource "aws_s3_bucket" "images" {
  bucket = var.name
}

resource "aws_s3_bucket_public_access_block" "images" {
  bucket                  = aws_s3_bucket.images.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "images" {
  bucket = aws_s3_bucket.images.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# As ../s3/lifecycle.json. Images are deleted by the sweep, at their time.
resource "aws_s3_bucket_lifecycle_configuration" "images" {
  bucket = aws_s3_bucket.images.id

  rule {
    id     = "what-checks-left-behind"
    status = "Enabled"

    filter {
      prefix = "checks/"
    }

    expiration {
      days = 1
    }
  }

  rule {
    id     = "what-was-deleted-is-gone"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 1
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_iam_policy" "images" {
  name   = "${var.name}-images"
  policy = replace(file("${path.module}/../s3/policy.json"), "arn:aws:s3:::darkroom", aws_s3_bucket.images.arn)
}
