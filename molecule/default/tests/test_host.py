def test_host_is_debian(host):
    assert host.system_info.distribution == "debian"
