# Debian packages to unpack instead of installing them. To be sourced: the machine's apt is left as it is.

# fetch_debs FOLDER SUITE ARCHITECTURE PACKAGE…: the packages with all that they depend on, into FOLDER/archives
fetch_debs() {
  local folder=$1 suite=$2 architecture=$3 mirror
  shift 3
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -1)}
  rm -rf "$folder"/{lists,archives,state}
  mkdir -p "$folder"/{lists/partial,archives/partial,state,parts}
  : > "$folder/state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" > "$folder/sources.list"
  cat > "$folder/apt.conf" <<CONF
APT::Architecture "$architecture"; APT::Architectures { "$architecture"; };
Dir::State "$folder/state"; Dir::State::lists "$folder/lists"; Dir::State::status "$folder/state/status";
Dir::Cache "$folder"; Dir::Cache::archives "$folder/archives"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "$folder/sources.list"; Dir::Etc::sourceparts "$folder/parts"; Dir::Etc::preferencesparts "$folder/parts";
Dir::Etc::preferences "/dev/null";
Acquire::Languages "none"; Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Sandbox::User ""; APT::Install-Recommends "false"; Acquire::Retries "3";
CONF
  APT_CONFIG=$folder/apt.conf apt-get update -qq >&2
  APT_CONFIG=$folder/apt.conf apt-get install -y -qq --download-only "$@" >&2
}
