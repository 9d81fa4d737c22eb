/// Hears when a link opens or is lost, and when its device has a service more or less. Confined to the bus loop.
protocol DeviceLinkObserver: AnyObject {
    func changed(_ link: DeviceLink)
}
