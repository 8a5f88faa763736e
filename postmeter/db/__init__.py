"""What every table shares: ids, tenant scope, partitions, roles."""
