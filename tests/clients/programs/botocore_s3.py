import sys

import botocore.config
import botocore.session

client = botocore.session.get_session().create_client(
    "s3",
    "us-east-1",
    endpoint_url=f"https://localhost:{sys.argv[1]}",
    verify=sys.argv[2],
    aws_access_key_id="me",
    aws_secret_access_key="mine",
    config=botocore.config.Config(retries={"max_attempts": 0}),
)
client.head_bucket(Bucket="bucket")
print("ok")
