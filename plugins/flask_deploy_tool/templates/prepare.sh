umask 077
mkdir -p ~/.ssh
printf '%s\n' "$SSH_KEY" >~/.ssh/id_ed25519
printf '%s\n' "$SSH_KNOWN_HOSTS" >~/.ssh/known_hosts
printf '%s\n' "$VAULT_PASSWORD" >.vault-password
pip install --quiet -r requirements.txt
