"""Who we are and who the server may be: certificates, the trust list, the security that is configured."""
